"""Does sharing help? Contenders beside one network per task on real data, at equal budgets.

    python benchmarks/sharing.py penguins
    python benchmarks/sharing.py tox21 --data-dir FOLDER --folder studies --report tox21.html

Of each set, settings and epochs are chosen by validation rows, and `studies.compare` decides on
test rows. penguins ships with keras_mtl; FOLDER holds the files of the others. A run that is
stopped goes on if it is started again with the same --folder.
"""

import argparse
import dataclasses
import pathlib
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "examples"))

import toxicity

from keras_mtl import BalancedModel, Task, architectures, balancers, data, datasets, studies


@dataclasses.dataclass(frozen=True)
class Case:
    """Holds a data set with its contenders; the first one's function builds the baseline."""

    tasks: list[Task]
    parts: list[Any]
    contenders: dict[str, Any]
    epochs: int
    metrics: Any = None


def balanced(build, balancer):
    """Returns a contender: the network of another one under a balancer."""
    return lambda tasks: BalancedModel(build(tasks), tasks, balancer())


def penguins(place):
    """Returns 344 birds: species, sex (some missing) and body mass."""
    tasks = datasets.penguins_tasks()
    train, test = (datasets.penguins(split, **place) for split in ("train", "test"))
    # Birds are sorted by species.
    train = train.shuffle(400, seed=0, reshuffle_each_iteration=False).cache()
    raw = [part.batch(32) for part in (train.skip(60), train.take(60), test)]
    encoder = data.tabular_encoder(raw[0])

    def encode(columns, labels):
        return encoder(columns), labels

    def sharing(tasks):
        features = data.embed_columns(encoder, units=2)
        return architectures.hard_sharing(features, tasks, shared=(32,), tower=())

    contenders = {
        "hard sharing": sharing,
        "hard sharing, Uncertainty": balanced(sharing, balancers.Uncertainty),
        "hard sharing, UPGrad": balanced(sharing, balancers.UPGrad),
    }
    return Case(tasks, [part.map(encode).cache() for part in raw], contenders, epochs=60)


def tox21(place):
    """Returns 8,014 molecules: twelve assays, a sixth of the outcomes missing, as named tasks."""
    raw = [datasets.tox21(split, **place).batch(512) for split in ("train", "validation", "test")]
    encoder = toxicity.make_encoder(raw[0].map(lambda smiles, labels: smiles))
    columns = [name.replace("-", "_") for name in datasets.tox21_tasks()[0].columns]
    tasks = [Task.binary(name) for name in columns]

    def encode(smiles, labels):
        return encoder(smiles), dict(
            zip(columns, tf.unstack(labels["toxicity"], axis=-1), strict=True)
        )

    parts = [part.map(encode).unbatch() for part in raw]
    parts = [data.known_cardinality(part.batch(256)).cache() for part in parts]

    def sharing(tasks):
        inputs = keras.Input((encoder.output.shape[-1],))
        return architectures.hard_sharing(inputs, tasks, shared=toxicity.body, tower=())

    contenders = {
        "hard sharing": sharing,
        "hard sharing, UncertaintySoftmax": balanced(sharing, balancers.UncertaintySoftmax),
    }
    return Case(tasks, parts, contenders, epochs=15)


def multi_fashion(place):
    """Returns pairs of overlapping clothes in one image, the left and the right one."""
    tasks = datasets.multi_mnist_tasks()
    splits = ("train[:50%]", "train[90%:]", "test")
    parts = [datasets.multi_fashion(split, **place).batch(256).cache() for split in splits]

    def trunk(images):
        x = keras.layers.Rescaling(1 / 255)(images)
        for units in (16, 32):
            x = keras.layers.Conv2D(units, 5, activation="relu")(x)
            x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Dense(256, activation="relu")(keras.layers.Flatten()(x))
        return keras.layers.Dropout(0.3)(x)

    def sharing(tasks):
        inputs = keras.Input((28, 28, 1))
        return architectures.hard_sharing(inputs, tasks, shared=trunk, tower=(64,))

    def experts(tasks):
        inputs = keras.Input((28, 28, 1))
        return architectures.mmoe(inputs, tasks, num_experts=2, expert=trunk, tower=(64,))

    contenders = {
        "hard sharing": sharing,
        "hard sharing, MGDA": balanced(sharing, balancers.MGDA),
        "MMoE of two trunks": experts,
    }
    return Case(tasks, parts, contenders, epochs=4)


SETS: dict[str, Callable[[dict[str, Any]], Case]] = {
    "penguins": penguins,
    "tox21": tox21,
    "multi_fashion": multi_fashion,
}


def main(options):
    with tempfile.TemporaryDirectory() as scratch:
        files = options.data_dir or pathlib.Path(scratch)
        place = {"data_dir": pathlib.Path(scratch, "prepared"), "manual_dir": files}
        if options.set == "penguins":  # it ships with the package
            del place["manual_dir"]
        case = SETS[options.set](place)
        epochs = options.epochs or case.epochs
        study = studies.compare(
            case.contenders,
            case.tasks,
            *case.parts,
            budget=studies.Budget(options.trials, epochs, options.seeds),
            directory=options.folder and options.folder / options.set,
            metrics=case.metrics,
        )
        print(f"\n{study}")
        shares = np.mean([t.seconds for t in study.trainings])
        print(f"{len(study.trainings)} trainings, {shares:.1f} s on average")
        if options.report:
            study.report(options.report, title=f"Does sharing help? {options.set}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--data-dir", type=pathlib.Path, help="the files of the data sets")
    parser.add_argument("--folder", type=pathlib.Path, help="keeps the studies")
    parser.add_argument("--report", help="writes a page of HTML")
    main(parser.parse_args())
