"""Networks of many kinds, for tests of what can be exported."""

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

import keras_mtl as mtl
from keras_mtl import Task

layers = keras.layers
Variety = tuple[str, keras.Model, list[Task]]


def head_kinds() -> Variety:
    """Builds a network with every kind of head on vectors."""
    scales = [mtl.Scale(name, [1.0], [2.0]) for name in ("log", "log1p", "minmax")]
    tasks = [
        Task.binary("z", threshold=0.3),
        Task.multiclass("c", 4),
        Task.multilabel("l", 3, threshold=(0.1, 0.2, 0.3)),
        Task.regression("a"),
        Task.count("n"),
        *(Task.regression(scale.method, scale=scale) for scale in scales),
    ]
    inputs = keras.Input((6,), name="x")
    return "heads", mtl.architectures.hard_sharing(inputs, tasks), tasks


def sequences() -> Iterator[Variety]:
    """Yields recurrent networks and one with attention."""
    tokens = keras.Input((7,), name="tokens", dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=True)(tokens)
    tasks = [Task.tagging("tags", 3), Task.binary("b")]
    steps = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(embedded)
    pooled = layers.GlobalAveragePooling1D()(steps)
    outputs = {"tags": tasks[0].output(steps), "b": tasks[1].output(pooled)}
    yield "lstm", keras.Model(tokens, outputs), tasks
    task = Task.binary("b")
    yield "gru", keras.Model(tokens, {"b": task.output(layers.GRU(4)(embedded))}), [task]
    attended = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(embedded, embedded))
    features = layers.GlobalAveragePooling1D()(layers.Dense(8, "gelu")(attended))
    yield "attention", keras.Model(tokens, {"b": task.output(features)}), [task]


def images() -> Iterator[Variety]:
    """Yields a convolutional network, and one on the bytes of files."""
    tasks = [Task.segmentation("mask", 3), Task.binary("b")]
    image = keras.Input((8, 8, 3), name="image")
    features = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(image))
    features = layers.MaxPooling2D()(layers.ReLU()(features))
    features = layers.DepthwiseConv2D(3, padding="same")(features)
    features = layers.UpSampling2D(interpolation="bilinear")(features)
    features = layers.Conv2DTranspose(4, 3, padding="same")(features)
    pooled = layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2)(features))
    outputs = {"mask": tasks[0].output(features), "b": tasks[1].output(pooled)}
    yield "conv", keras.Model(image, outputs), tasks
    files = mtl.data.image_decoder(8, 8)
    task = Task.binary("b")
    network = keras.Model(files.input, {"b": task.output(layers.Flatten()(files.output))})
    yield "files", network, [task]


def tables() -> Iterator[Variety]:
    """Yields encoders of tables, lookups of all modes, and text."""
    tasks = [Task.binary("b"), Task.regression("a")]
    numbers = np.random.default_rng(0).random(64).astype("float32")
    table: dict[str, Any] = {
        "age": numbers,
        "rent": np.where(np.arange(64) % 5 == 0, np.nan, numbers),
        "city": np.array(["Rome", "Oslo"] * 32),
        "code": np.arange(64) % 4,
    }
    encoder = mtl.data.tabular_encoder(table, missing={"rent": "median"}, categorical=["code"])
    network = mtl.architectures.hard_sharing(keras.Input(encoder.output.shape[1:]), tasks)
    yield "table", mtl.data.with_preprocessing(encoder, network), tasks
    word = keras.Input((1,), name="word", dtype="string")
    code = keras.Input((1,), name="code", dtype="int64")
    encoded = [
        layers.Flatten()(layers.Embedding(9, 2)(layers.Hashing(9)(word))),
        layers.CategoryEncoding(24, output_mode="one_hot")(code),
        layers.Discretization([1.0, 2.0], output_mode="one_hot")(layers.Rescaling(1.0)(code)),
        layers.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot")(word),
        layers.IntegerLookup(vocabulary=[1, 2], output_mode="one_hot")(code),
    ]
    outputs = {"b": tasks[0].output(layers.Concatenate()(encoded))}
    yield "lookups", keras.Model({"word": word, "code": code}, outputs), tasks[:1]
    text = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4)(word)
    pooled = layers.GlobalAveragePooling1D()(layers.Embedding(9, 2)(text))
    yield "text", keras.Model(word, {"b": tasks[0].output(pooled)}), tasks[:1]


def number_formats() -> Iterator[Variety]:
    """Yields networks that Keras has quantized, and one in mixed precision."""
    tasks = [Task.binary("b"), Task.regression("a")]
    for mode in ("int8", "int4", "float8"):
        inputs = keras.Input((16,), name="x")
        network = mtl.architectures.hard_sharing(inputs, tasks, shared=(32,), tower=(16,))
        with warnings.catch_warnings():  # of layers without numbers, which stay as they are
            warnings.filterwarnings("ignore", "Layer .* does not have a `quantize` method")
            network.quantize(mode)
        yield mode, network, tasks
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = mtl.architectures.mmoe(keras.Input((6,), name="x"), tasks)
    finally:
        keras.config.set_dtype_policy(before)
    yield "mixed_float16", network, tasks


def all_varieties() -> Iterator[Variety]:
    """Yields a name, a network and its tasks."""
    yield head_kinds()
    for varieties in (sequences, images, tables, number_formats):
        yield from varieties()
