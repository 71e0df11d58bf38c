"""The data sets of sharing.py, with the contenders of each."""

import dataclasses
import importlib
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "examples"))

from helpers import words

from keras_mtl import BalancedModel, Task, architectures, balancers, data, datasets

intent_and_slots = importlib.import_module("07_intent_and_slots")
review_domains = importlib.import_module("11_review_domains")
toxicity = importlib.import_module("12_toxicity")


@dataclasses.dataclass(frozen=True)
class Case:
    """Holds a data set with its contenders; the first one's function builds the baseline.

    `settings` are arguments of the comparison, or a function from the number of epochs to them.
    `tables` are the labeled rows of training and of test, for the plain models beside them.
    """

    tasks: list[Task]
    parts: list[Any]
    contenders: dict[str, Any]
    epochs: int
    settings: dict[str, Any] | Callable[[int], dict[str, Any]] = dataclasses.field(
        default_factory=dict
    )
    tables: list[Any] | None = None


def balanced(build, balancer):
    """Returns a contender: the network of another one under a balancer."""
    return lambda tasks: BalancedModel(build(tasks), tasks, balancer())


def read_rows(batches, tasks):
    """Returns all rows of a dataset as inputs, and labels with NaN where one is missing."""
    parts = [*data.mask_missing(batches, tasks).as_numpy_iterator()]
    inputs, labels, weights = tf.nest.map_structure(lambda *rows: np.concatenate(rows), *parts)
    return inputs, {
        name: np.where(weights[name] != 0, values, np.nan) for name, values in labels.items()
    }


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
    tables = [read_rows(raw[0].concatenate(raw[1]), tasks), read_rows(raw[2], tasks)]
    parts = [part.map(encode).cache() for part in raw]
    return Case(tasks, parts, contenders, epochs=60, tables=tables)


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
    tables = [read_rows(parts[0].concatenate(parts[1]), tasks), read_rows(parts[2], tasks)]
    return Case(tasks, parts, contenders, epochs=15, tables=tables)


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


def census(place):
    """Returns 199,523 people: income, never married, college; all rows of the training part."""
    tasks = datasets.census_income_tasks()
    splits = ("train[:90%]", "train[90%:]", "test")
    raw = [datasets.census_income(split, batch_size=1024, **place) for split in splits]
    log = ("capital_gains", "capital_losses", "dividends", "wage_per_hour")
    encoder = data.tabular_encoder(raw[0], log=log, bins=48)
    parts = [part.map(lambda columns, labels: (encoder(columns), labels)) for part in raw]
    rows = parts[0].unbatch().shuffle(200_000, seed=0, reshuffle_each_iteration=False)
    parts[0] = data.known_cardinality(rows.batch(1024, drop_remainder=True))
    parts = [part.cache() for part in parts]
    steps = int(parts[0].cardinality())

    def features():
        return data.embed_columns(encoder, units=8, numeric="piecewise")

    def sharing(tasks):
        return architectures.hard_sharing(features(), tasks, shared=(256, 128), tower=(64,))

    def experts(tasks):
        body = {"num_experts": 4, "expert": (128, 64), "tower": (64,)}
        return architectures.mmoe(features(), tasks, **body)

    def settings(epochs):
        def optimizer(rate):
            schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * steps)
            return keras.optimizers.AdamW(schedule, weight_decay=1e-4)

        return {"optimizer": optimizer, "learning_rate": (1e-3, 4e-3)}

    contenders = {
        "hard sharing": sharing,
        "hard sharing, PCGrad": balanced(sharing, balancers.PCGrad),
        "MMoE": experts,
    }
    tables = [read_rows(raw[0].concatenate(raw[1]), tasks), read_rows(raw[2], tasks)]
    return Case(tasks, parts, contenders, epochs=5, settings=settings, tables=tables)


def fdu_mtl(place):
    """Returns reviews of 16 domains, one task per domain; no review has two labels."""
    tasks = datasets.fdu_mtl_tasks()

    def read(split):
        return datasets.fdu_mtl(split, domains=[task.name for task in tasks], **place)

    splits = {"train": "train[:90%]", "validation": "train[90%:]", "test": "test"}
    raw = {part: read(split) for part, split in splits.items()}
    texts = data.mixture(raw["train"], tasks, batch_size=512).map(lambda text, y, w: text)
    encoder = review_domains.make_encoder(texts)

    def encode(reviews):
        batches = reviews.batch(512).map(lambda text, y: (encoder(text), y)).unbatch().cache()
        return data.known_cardinality(batches)

    encoded = {part: {n: encode(r) for n, r in raw[part].items()} for part in raw}

    def train():
        shuffled = {name: rows.shuffle(2000) for name, rows in encoded["train"].items()}
        return data.mixture(shuffled, tasks, batch_size=128)

    parts = [
        data.mixture(encoded[part], tasks, batch_size=512, until="once").cache()
        for part in ("validation", "test")
    ]
    contenders = {"hard sharing": review_domains.shared}
    settings = {"learning_rate": 5e-3, "baseline_rows": "labeled"}
    return Case(tasks, [train, *parts], contenders, epochs=6, settings=settings)


def snips(place):
    """Returns 14,484 voice commands: the intent of each, and the slot of each word."""
    tasks = intent_and_slots.make_tasks()
    length, size = intent_and_slots.LENGTH, intent_and_slots.WORDS
    splits = {"train": "train", "validation": "validation", "test": "test"}
    raw = {part: intent_and_slots.read(split, tasks, place) for part, split in splits.items()}
    encode = words.word_encoder(
        raw["train"], length=length, max_tokens=size, letters=intent_and_slots.LETTERS
    )
    encoded = {
        part: batches.map(lambda text, y, w: (encode(text), y, w)) for part, batches in raw.items()
    }
    judged = [
        data.known_cardinality(encoded[part].unbatch().batch(256)).cache()
        for part in ("validation", "test")
    ]
    contenders = {
        "hard sharing": intent_and_slots.build,
        "hard sharing, Uncertainty": balanced(intent_and_slots.build, balancers.Uncertainty),
    }

    def train():
        return words.similar_lengths(encoded["train"], 64)

    settings = {"learning_rate": 2e-3}
    return Case(tasks, [train, *judged], contenders, epochs=10, settings=settings)


SETS = {
    "penguins": penguins,
    "tox21": tox21,
    "census": census,
    "fdu_mtl": fdu_mtl,
    "snips": snips,
    "multi_fashion": multi_fashion,
}
