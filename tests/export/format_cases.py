"""Networks that are exported to each format: every architecture, kind of head and kind of input."""

import functools
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

import keras_mtl as mtl

sys.path.append(str(pathlib.Path(__file__).parents[1] / "architectures"))

import all_cases

Rows = dict[str, NDArray[Any]]
Case = tuple[keras.Model, list[mtl.Task], Rows]
"""A network, its tasks, and rows by input."""


def architecture(name: str) -> Case:
    """Builds the network of a builder as its contracts do, with random weights throughout."""
    setting = all_cases.setting(name)
    tasks = setting.tasks(setting.usual_count)
    features = setting.features()
    inputs = keras.Input(features.shape[1:], name="x")
    network = getattr(mtl.architectures, name)(inputs, tasks, **all_cases.CASES.get(name, {}))
    return network, tasks, {"x": features}


def _on_numbers(tasks: list[mtl.Task]) -> Case:
    inputs = keras.Input((6,), name="x")
    network = mtl.architectures.hard_sharing(inputs, tasks, shared=(16,), tower=(8,))
    return network, tasks, {"x": np.random.default_rng(0).normal(size=(12, 6)).astype("float32")}


def _heads() -> dict[str, Callable[[], Case]]:
    tasks = {
        "binary": mtl.Task.binary("z", threshold=0.5),
        "multilabel": mtl.Task.multilabel("z", 3, threshold=(0.2, 0.5, 0.7)),
        "multiclass": mtl.Task.multiclass("z", 4),
        "regression": mtl.Task.regression("z"),
        "scaled regression": mtl.Task.regression("z", scale="standard").fit_scale([325.0, 475.0]),
        "regression of columns": mtl.Task.regression("z", columns=["w", "a"]),
        "count": mtl.Task.count("z"),
        "ordinal": mtl.Task.ordinal("z", 4),
        "ordinal by CORN": mtl.Task.ordinal("z", 4, method="corn"),
        "quantiles": mtl.Task.quantiles("z", [0.1, 0.5, 0.9]),
        "zero inflated": mtl.Task.zero_inflated("z"),
        "survival": mtl.Task.survival("z", [30.0, 90.0, 365.0]),
        "survival by Cox": mtl.Task.survival("z", [30.0, 90.0], method="cox"),
        "ranking": mtl.Task.ranking("z", 5),
    }
    return {
        name: functools.partial(_on_numbers, [task, mtl.Task.regression("a")])
        for name, task in tasks.items()
    }


def _marginal() -> Case:
    groups = [[0, 1, 4], [2, 3]]
    return _on_numbers([mtl.Task.multiclass("a", 5), mtl.Task.marginal("z", of="a", groups=groups)])


def _on_words(task: mtl.Task) -> Case:
    tasks = [task, mtl.Task.binary("a")]
    words = keras.Input((5,), dtype="int32", name="words")
    embedded = keras.layers.Embedding(9, 4, mask_zero=True)(words)
    pooled = keras.layers.GlobalAveragePooling1D()(embedded)
    outputs = {"z": tasks[0].output(embedded), "a": tasks[1].output(pooled)}
    rows = {"words": np.random.default_rng(0).integers(0, 9, (12, 5)).astype("int32")}
    return keras.Model(words, outputs), tasks, rows


def _segmentation() -> Case:
    tasks = [mtl.Task.segmentation("z", 3), mtl.Task.binary("a")]
    images = keras.Input((8, 8, 3), name="images")
    maps = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(images)
    maps = keras.layers.BatchNormalization()(maps)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    outputs = {"z": tasks[0].output(maps), "a": tasks[1].output(pooled)}
    rows = {"images": np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype("float32")}
    return keras.Model(images, outputs), tasks, rows


def _series(make_layer: Callable[[], keras.layers.Layer], is_masked: bool = False) -> Case:
    tasks = [mtl.Task.binary("z"), mtl.Task.regression("a")]
    inputs = keras.Input((5, 6), name="series")
    features = make_layer()(keras.layers.Masking()(inputs) if is_masked else inputs)
    rows = {"series": np.random.default_rng(0).normal(size=(12, 5, 6)).astype("float32")}
    rows["series"][:4, 3:] = 0.0
    return keras.Model(inputs, {task.name: task.output(features) for task in tasks}), tasks, rows


def _attention() -> keras.layers.Layer:
    inputs = keras.Input((5, 6))
    attended = keras.layers.MultiHeadAttention(2, 4)(inputs, inputs)
    return keras.Model(inputs, keras.layers.Flatten()(keras.layers.LayerNormalization()(attended)))


def _table(column: str, **options: Any) -> Case:
    columns = {
        "age": np.random.default_rng(0).integers(18, 90, 200).astype("float32"),
        "city": np.random.default_rng(0).choice(["Rome", "Oslo", "Zürich"], 200),
        "ward": np.random.default_rng(0).integers(0, 9, 200),
    }
    table = {name: columns[name] for name in ("age", column)}
    encoder = mtl.data.tabular_encoder(table, **options)
    tasks = [mtl.Task.binary("z"), mtl.Task.regression("a")]
    features = mtl.data.embed_columns(encoder, units=4)
    network = mtl.architectures.mmoe(features, tasks, num_experts=2, expert=(8,))
    rows = {name: np.asarray(values[:12]) for name, values in table.items()}
    return mtl.data.with_preprocessing(encoder, network), tasks, rows


def _rules() -> Case:
    """Builds a network whose outputs obey one rule of each kind."""
    tasks = [mtl.Task.binary(name) for name in "abcdefgh"]
    tasks += [mtl.Task.regression(name) for name in ("all", "north", "south")]
    network, _, rows = _on_numbers(tasks)
    rules = [
        mtl.rules.exactly_one(["a", "b", "c"]),
        mtl.rules.ordered(["d", "e", "f"]),
        mtl.rules.hierarchy({"g": "h"}),
        mtl.rules.sums("all", ["north", "south"]),
    ]
    return mtl.export.with_rules(network, rules, tasks), tasks, rows


HEADS = {
    **_heads(),
    "marginal": _marginal,
    "tagging": lambda: _on_words(mtl.Task.tagging("z", 3)),
    "generation": lambda: _on_words(mtl.Task.generation("z", 9)),
    "segmentation": _segmentation,
}
INPUTS: Mapping[str, Callable[[], Case]] = {
    "table with text": lambda: _table("city", missing="median"),
    "table with codes": lambda: _table("ward", categorical=["ward"]),
    "masked LSTM": lambda: _series(lambda: keras.layers.LSTM(4), is_masked=True),
    "bidirectional LSTM": lambda: _series(
        lambda: keras.layers.Bidirectional(keras.layers.LSTM(4)), is_masked=True
    ),
    "unrolled LSTM": lambda: _series(lambda: keras.layers.LSTM(4, unroll=True), is_masked=True),
    "GRU": lambda: _series(lambda: keras.layers.GRU(4)),
    "outputs under rules": _rules,
    "attention": lambda: _series(_attention),
    "convolution in time": lambda: _series(lambda: _pooled_convolution()),
}


def _pooled_convolution() -> keras.layers.Layer:
    inputs = keras.Input((5, 6))
    maps = keras.layers.Conv1D(4, 3, padding="causal")(inputs)
    return keras.Model(inputs, keras.layers.GlobalMaxPooling1D()(maps))


def make_case(name: str) -> Case:
    """Builds a case by its name, and gives all of its variables random values."""
    keras.utils.set_random_seed(0)
    make = {**HEADS, **INPUTS}.get(name)
    network, tasks, rows = make() if make else architecture(name)
    random = np.random.default_rng(1)
    for variable in network.trainable_variables:
        variable.assign(variable + 0.1 * random.normal(size=variable.shape))
    return network, tasks, rows


def predict(network: keras.Model, rows: Rows) -> Rows:
    """Returns the predictions of the network itself, by task."""
    tensors = {name: keras.ops.convert_to_tensor(values) for name, values in rows.items()}
    (first, *_) = tensors.values()
    is_named = isinstance(network.input, dict)
    predictions: Rows = network.predict_on_batch(tensors if is_named else first)
    return predictions


NAMES = (*mtl.architectures.__all__, *HEADS, *INPUTS)
