"""A model from the raw columns of a table to numbers, for the pipeline and the served graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.data._column_statistics import compress, read_statistics


def tabular_encoder(dataset: tf.data.Dataset, *, log: Sequence[str] = ()) -> keras.Model:
    """Builds a model that turns raw columns into numbers, from statistics of training data.

    Numbers are standardized. Strings become their index in the column's vocabulary (0 for strings
    that the training data lack), plus the sizes of the vocabularies of the columns before. The
    model learns nothing in training and holds its statistics and vocabularies itself, in a
    `.keras` file as in a SavedModel. `embed_columns` turns its output into features.

    String lookups cost more than a training step of a small network, and XLA compiles none.
    Encode in the pipeline, train a network on the encoded columns, and put encoder and network
    together with `with_preprocessing` for serving:

        encoder = data.tabular_encoder(train)
        encoded = train.map(lambda columns, labels: (encoder(columns), labels)).cache()
        network = architectures.mmoe(data.embed_columns(encoder), tasks)
        ...
        served = data.with_preprocessing(encoder, network)

    `architectures.mmoe(data.embed_columns(encoder, encoder.output), tasks)` trains on the raw
    columns themselves.

    Args:
        dataset: Training data, read once: batches of a dict of columns, or of `(columns, ...)`.
            Each column has the shape `(batch,)`, and holds numbers or strings.
        log: Columns of numbers with long tails, of which `sign(x) * log(1 + |x|)` is taken
            first.

    Returns:
        A `keras.Model` from a dict of columns, `(batch,)` or `(batch, 1)`, to a float32 tensor
        `(batch, columns)`: first the numbers, then the indices of the strings. Unlike
        `keras.utils.FeatureSpace.adapt`, which reads the data at least once per column
        (docs/keras_notes.md, pain 85), it is built in one pass.

    Raises:
        TypeError: If the dataset does not yield a dict of columns.
        ValueError: If a column has more than one value per row, `log` names no column of
            numbers, or the dataset is empty.

    Example:
        >>> columns = {"age": [20.0, 40.0], "city": ["Rome", "Oslo"]}
        >>> train = tf.data.Dataset.from_tensor_slices(columns).batch(2)
        >>> encoder = tabular_encoder(train)
        >>> rows = {"age": tf.constant([40.0]), "city": tf.constant(["Oslo"])}
        >>> encoder(rows).numpy().tolist()
        [[1.0, 1.0]]
    """
    specs = _column_specs(dataset)
    numbers = [name for name, spec in specs.items() if spec.dtype != tf.string]
    texts = [name for name in specs if name not in numbers]
    unknown = sorted(set(log) - set(numbers))
    if unknown:
        raise ValueError(f"log names {unknown}; the columns of numbers are {numbers}.")
    moments, vocabularies = read_statistics(dataset, numbers, texts, log)
    inputs = {
        name: keras.Input((), dtype="string" if name in texts else "float32", name=name)
        for name in specs
    }
    codes = []
    if numbers:
        codes.append(_standardize({name: inputs[name] for name in numbers}, moments, log))
    if texts:
        codes.append(_look_up({name: inputs[name] for name in texts}, vocabularies))
    encoded = ops.concatenate(codes, axis=-1) if len(codes) > 1 else codes[0]
    return keras.Model(inputs, encoded, name="tabular_encoder")


def _standardize(
    table_columns: Mapping[str, Tensor], moments: tuple[Any, Any], log: Sequence[str]
) -> Tensor:
    """Stacks columns of numbers to `(batch, numbers)`, with mean 0 and variance 1."""
    mean, variance = moments
    values = [compress(column) if name in log else column for name, column in table_columns.items()]
    # float32 whatever the policy: dollars overflow in float16.
    layer = keras.layers.Normalization(
        mean=mean, variance=variance, dtype="float32", name="standardize"
    )
    return layer(ops.stack(values, axis=-1))


def _look_up(table_columns: Mapping[str, Tensor], vocabularies: Mapping[str, list[str]]) -> Tensor:
    """Stacks the indices of strings in one common vocabulary, `(batch, texts)` in float32."""
    indices, offsets = [], [0]
    for name, column in table_columns.items():
        layer = keras.layers.StringLookup(vocabulary=vocabularies[name], name=f"{name}_lookup")
        indices.append(layer(column))
        offsets.append(offsets[-1] + layer.vocabulary_size())
    # Each column has its own range of indices, so that one embedding serves all of them.
    shift = keras.layers.Rescaling(1.0, offset=offsets[:-1], dtype="float32", name="offsets")
    return shift(ops.cast(ops.stack(indices, axis=-1), "float32"))


def _column_specs(dataset: tf.data.Dataset) -> dict[str, tf.TensorSpec]:
    """Returns the specs of the table's columns; checks that each has one value per row."""
    spec = dataset.element_spec
    table_columns = spec[0] if isinstance(spec, tuple) else spec
    if not isinstance(table_columns, Mapping):
        raise TypeError(
            "expected a dataset of a dict of columns, or of (columns, ...); received "
            f"{type(table_columns).__name__}."
        )
    for name, column in table_columns.items():
        if column.shape.rank != 1:
            raise ValueError(
                f"column {name!r} has shape {column.shape}; expected (batch,). Batch the dataset, "
                "and split a column of several values."
            )
    return dict(table_columns)
