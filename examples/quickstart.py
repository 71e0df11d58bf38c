"""From real data to a tuned, balanced, served multi-task network, in one run.

    python examples/quickstart.py                  # about three minutes on two cores
    python examples/quickstart.py --replicas 2     # the same, mirrored over two devices

Census-Income (KDD): does a person earn over 50,000 a year, were they ever married, did they go
to college? The rows ship with keras_mtl; nothing is downloaded. Models are chosen by validation
data, and the test part is looked at once, for the table.
"""

import argparse
import tempfile

import census_report
import keras
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import architectures, balancers, data, datasets, tuning


def make_strategy(replicas):
    """Returns a strategy over the GPUs, or over virtual CPU devices if there are too few GPUs."""
    if replicas > 1 and len(tf.config.list_physical_devices("GPU")) < 2:
        devices = [tf.config.LogicalDeviceConfiguration()] * replicas
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, devices)
        return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
    return mtl.training.strategy()


def prepare(options):
    """Returns the encoder of raw columns, the encoded batches by part, and raw test batches."""
    splits = {"train": "train[:90%]", "validation": "train[90%:]", "test": "test"}
    place = {"config": options.config, "data_dir": options.data_dir}
    raw = {
        part: datasets.census_income(split, batch_size=options.batch_size, **place)
        for part, split in splits.items()
    }
    encoder = data.tabular_encoder(raw["train"], log=census_report.LONG_TAILED, bins=48)
    sets = {
        part: batches.map(lambda columns, labels: (encoder(columns), labels))
        for part, batches in raw.items()
    }
    # One order for all epochs: every model, on any number of replicas, sees the same batches.
    rows = sets["train"].unbatch().shuffle(50_000, seed=0, reshuffle_each_iteration=False)
    sets["train"] = data.known_cardinality(rows.batch(options.batch_size, drop_remainder=True))
    sets = {part: batches.cache() for part, batches in sets.items()}
    return encoder, sets, raw["test"]


def main(options):
    strategy = make_strategy(options.replicas)  # before anything else makes a variable
    all_tasks = datasets.census_income_tasks()
    encoder, sets, raw_test = prepare(options)
    # Not before, since preparing the data, if it is the first time, draws random numbers.
    keras.utils.set_random_seed(0)
    report = census_report.Report(all_tasks, sets)

    def features():
        return data.embed_columns(encoder, units=4, numeric="piecewise")

    def optimizer():
        steps = options.epochs * int(sets["train"].cardinality())
        rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
        return keras.optimizers.AdamW(rate, weight_decay=1e-4)

    def mmoe(tasks):
        return architectures.mmoe(features(), tasks, num_experts=4, expert=(64,), tower=(16,))

    def compiled(network, tasks):
        network.compile(optimizer(), **mtl.compile_args(tasks))
        return network

    def balanced(balancer):
        model = mtl.BalancedModel(mmoe(all_tasks), all_tasks, balancer)
        model.compile(optimizer())
        return model

    def build(tasks):
        with strategy.scope():
            return compiled(mmoe(tasks), tasks)

    with strategy.scope():
        for task in all_tasks:
            network = architectures.single_task(features(), [task], tower=(64, 16))
            report.train_alone(task, compiled(network, [task]), options.epochs)
        shared = architectures.hard_sharing(features(), all_tasks, shared=(64,), tower=(16,))
        report.train("hard sharing, equal weights", compiled(shared, all_tasks), options.epochs)
        report.train("MMoE, equal weights", build(all_tasks), options.epochs)
        report.train(
            "MMoE, uncertainty (losses)",
            balanced(balancers.Uncertainty(regression=False)),
            options.epochs,
        )
        report.train("MMoE, PCGrad (gradients)", balanced(balancers.PCGrad()), options.epochs)
    result = tuning.search_task_weights(
        build,
        all_tasks,
        sets["train"],
        sets["validation"],
        objective="mean_relative_gain",
        baselines=report.baselines,
        max_trials=options.trials,
        epochs=options.epochs,
    )
    print(
        f"tuner: best of {len(result.trials)} trials {report.rounded(result.weights)}", flush=True
    )
    report.train("MMoE, tuned weights", build(result.tasks), options.epochs)

    report.print_table()
    report.save_figure(options.figure)
    best = report.best()
    served = data.with_preprocessing(encoder, getattr(best, "network", best))
    folder = mtl.export.saved_model(served, all_tasks, options.export)
    census_report.check_served(folder, served, next(iter(raw_test))[0])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("--replicas", type=int, default=1)
        parser.add_argument("--config", default="full", choices=["full", "small"])
        parser.add_argument("--epochs", type=int, default=5)
        parser.add_argument("--trials", type=int, default=4)
        parser.add_argument("--batch-size", type=int, default=1024)
        parser.add_argument("--data-dir", default=folder, help="keeps the prepared data")
        parser.add_argument("--figure", default="census.png")
        parser.add_argument("--export", default="saved_models/census/1")
        main(parser.parse_args())
