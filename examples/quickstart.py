"""Does multi-task learning help? Two answers on real data, and a served network, in one run.

    python examples/quickstart.py                  # three to four minutes on two cores
    python examples/quickstart.py --replicas 2     # the same, mirrored over two devices

Census-Income (KDD): does a person earn over 50,000 a year, were they ever married, did they go
to college? The rows ship with keras_mtl; nothing is downloaded. Settings and epochs are chosen by
validation data, and verdicts are made on the test part, with intervals.
"""

import argparse
import pathlib
import tempfile

import keras
from helpers import census, census_served

import keras_mtl as mtl
from keras_mtl import analysis, architectures, balancers, data, datasets, studies


def main(options):
    strategy = census.make_strategy(options.replicas)  # before anything else makes a variable
    tasks = datasets.census_income_tasks()
    encoder, sets, raw_test = census.prepare(options)
    steps = options.epochs * int(sets["train"].cardinality())
    budget = studies.Budget(trials=options.trials, epochs=options.epochs, seeds=options.seeds)

    def features():
        return data.embed_columns(encoder, units=4, numeric="piecewise")

    def sharing(tasks):
        with strategy.scope():
            return architectures.hard_sharing(features(), tasks, shared=(64,), tower=(16,))

    def experts(tasks):
        with strategy.scope():
            mmoe = architectures.mmoe(features(), tasks, num_experts=4, expert=(64,), tower=(16,))
            return mtl.BalancedModel(mmoe, tasks, balancers.PCGrad())

    def optimizer(rate):
        schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
        return keras.optimizers.AdamW(schedule, weight_decay=1e-4)

    def compare(contenders, tasks, train, folder):
        study = studies.compare(
            contenders,
            tasks,
            train,
            sets["validation"],
            sets["test"],
            budget=budget,
            optimizer=optimizer,
            learning_rate=2e-3 if options.trials == 1 else (1e-3, 4e-3),
            directory=options.folder / folder,
        )
        print(f"\n{study}\n", flush=True)
        return study

    print("1. All labels: is one network better than three?", flush=True)
    study = compare(
        {"hard sharing": sharing, "MMoE, PCGrad": experts}, tasks, sets["train"], "all_labels"
    )
    print("2. One person in a hundred has told the income: does college help?", flush=True)
    few = census.keep_few(sets["train"], "income", share=0.01)
    two = [task for task in tasks if task.name != "never_married"]
    scarce = compare({"hard sharing": sharing}, two, few, "few_labels")

    study.report(options.report, title="Census: three tasks, all labels")
    shown = {
        "all labels": study.comparisons["hard sharing"],
        "1 % of the income labels": scarce.comparisons["hard sharing"],
    }
    analysis.figures.verdicts(shown).savefig(options.figure, dpi=120)
    print(f"report: {options.report}, figure: {options.figure}")

    served = data.with_preprocessing(encoder, study.best())
    folder = mtl.export.saved_model(served, tasks, options.export)
    census_served.check(folder, served, next(iter(raw_test))[0])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("--replicas", type=int, default=1)
        parser.add_argument("--config", default="full", choices=["full", "small"])
        parser.add_argument("--epochs", type=int, default=5)
        parser.add_argument("--trials", type=int, default=1, help="learning rates per network")
        parser.add_argument("--seeds", type=int, default=3)
        parser.add_argument("--batch-size", type=int, default=1024)
        parser.add_argument("--data-dir", default=scratch, help="keeps the prepared data")
        parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(scratch, "studies"))
        parser.add_argument("--report", default="census.html")
        parser.add_argument("--figure", default="census.png")
        parser.add_argument("--export", default="saved_models/census/1")
        arguments = parser.parse_args()
        if pathlib.Path(arguments.export).exists():  # rather now than after the trainings
            parser.error(f"{arguments.export} exists already; name another folder by --export")
        main(arguments)
