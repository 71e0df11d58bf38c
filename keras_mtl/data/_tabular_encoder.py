"""Preprocessing of the columns of a table, as Keras layers."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.data._column_statistics import compress, read_statistics


def tabular_encoder(dataset: tf.data.Dataset, *, log: Sequence[str] = ()) -> keras.Model:
    """Makes a model that turns raw columns into numbers, from statistics of training data.

    Numbers are standardized, and strings become their place in the column's vocabulary (0 for
    strings not seen here) behind those of the columns before. The model learns nothing in
    training and holds its statistics and vocabularies itself, in a `.keras` file as in a
    SavedModel. `embed_columns` makes features of what it gives.

    String lookups cost more than a training step of a small network, and XLA compiles none:
    encode in the pipeline, train a network on what comes out, and put the two together with
    `with_preprocessing` for serving:

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
        `(batch, columns)`: first the numbers, then the places of the strings. Unlike
        `keras.utils.FeatureSpace.adapt`, which reads the data once a column, it is made in one
        pass.

    Raises:
        TypeError: If the dataset does not yield a dict of columns.
        ValueError: If a column has more than one value a row, `log` names no column of
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
    parts = []
    if numbers:
        parts.append(_standardize({name: inputs[name] for name in numbers}, moments, log))
    if texts:
        parts.append(_look_up({name: inputs[name] for name in texts}, vocabularies))
    encoded = ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
    return keras.Model(inputs, encoded, name="tabular_encoder")


def embed_columns(encoder: keras.Model, codes: Tensor | None = None, *, units: int = 8) -> Tensor:
    """Turns what `tabular_encoder` gives into features: an embedding for each string.

    Args:
        encoder: What `tabular_encoder` returned.
        codes: Symbolic output of the encoder, `(batch, columns)`. Defaults to a new
            `keras.Input`, for a network that is trained on encoded columns; `encoder.output`
            makes one that takes raw columns.
        units: Size of an embedding. Defaults to `8`.

    Returns:
        Symbolic features `(batch, numbers + units * texts)`: the `inputs` of an architecture.

    Example:
        >>> columns = {"age": [20.0, 40.0], "city": ["Rome", "Oslo"]}
        >>> train = tf.data.Dataset.from_tensor_slices(columns).batch(2)
        >>> embed_columns(tabular_encoder(train), units=4).shape
        (None, 5)
    """
    if codes is None:
        codes = keras.Input(encoder.output.shape[1:], name="columns")
    lookups = [each for each in encoder.layers if isinstance(each, keras.layers.StringLookup)]
    if not lookups:
        return codes
    numbers = codes.shape[-1] - len(lookups)
    size = sum(lookup.vocabulary_size() for lookup in lookups)
    embed = keras.layers.Embedding(size, units, name="shared_embedding")
    embedded = embed(ops.cast(codes[:, numbers:], "int32"))
    embedded = keras.layers.Flatten(name="shared_embeddings")(embedded)
    if not numbers:
        return embedded
    return keras.layers.Concatenate(name="shared_columns")([codes[:, :numbers], embedded])


def with_preprocessing(preprocessing: keras.Model, network: keras.Model) -> keras.Model:
    """Puts a preprocessing model before a network: the model to be saved and served.

    Args:
        preprocessing: Maps raw inputs to one tensor, such as `tabular_encoder` makes. Of an
            adapted `keras.utils.FeatureSpace` with crosses, hashes or buckets,
            `keras.Model(dict(space.get_inputs()), space.get_encoded_features())` is one.
        network: A network with one input, that was trained on this tensor.

    Returns:
        A functional model from raw inputs to the outputs of the network, under the same names.
        It shares the variables of both.

    Raises:
        ValueError: If the network does not take what the preprocessing gives.

    Example:
        >>> import keras_mtl as mtl
        >>> columns = {"age": [20.0, 40.0], "city": ["Rome", "Oslo"]}
        >>> train = tf.data.Dataset.from_tensor_slices(columns).batch(2)
        >>> encoder = tabular_encoder(train)
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("buy")]
        >>> network = mtl.architectures.hard_sharing(embed_columns(encoder), tasks)
        >>> served = with_preprocessing(encoder, network)
        >>> rows = {"age": tf.constant([40.0]), "city": tf.constant(["Oslo"])}
        >>> {name: output.shape for name, output in served(rows).items()}
        {'click': TensorShape([1, 1]), 'buy': TensorShape([1, 1])}
    """
    given = preprocessing.output
    if len(network.inputs) != 1 or network.inputs[0].shape[1:] != given.shape[1:]:
        raise ValueError(
            f"the network takes {[tensor.shape for tensor in network.inputs]}, but the "
            f"preprocessing gives one tensor of shape {given.shape}."
        )
    inputs = preprocessing.input
    if isinstance(inputs, Mapping):
        inputs = dict(inputs)  # the kind that a user calls it with: Keras warns of another one
    return keras.Model(inputs, network(given), name=f"{network.name}_served")


def _standardize(
    columns: Mapping[str, Tensor], moments: tuple[Any, Any], log: Sequence[str]
) -> Tensor:
    """Stacks columns of numbers and brings them to mean 0 and variance 1."""
    mean, variance = moments
    values = [compress(column) if name in log else column for name, column in columns.items()]
    # float32 whatever the policy: dollars overflow in float16.
    layer = keras.layers.Normalization(
        mean=mean, variance=variance, dtype="float32", name="standardize"
    )
    return layer(ops.stack(values, axis=-1))


def _look_up(columns: Mapping[str, Tensor], vocabularies: Mapping[str, list[str]]) -> Tensor:
    """Stacks the places of strings in one common vocabulary, as float32."""
    places, offsets = [], [0]
    for name, column in columns.items():
        layer = keras.layers.StringLookup(vocabulary=vocabularies[name], name=f"{name}_lookup")
        places.append(layer(column))
        offsets.append(offsets[-1] + layer.vocabulary_size())
    shift = keras.layers.Rescaling(1.0, offset=offsets[:-1], dtype="float32", name="offsets")
    return shift(ops.cast(ops.stack(places, axis=-1), "float32"))


def _column_specs(dataset: tf.data.Dataset) -> dict[str, tf.TensorSpec]:
    """The specs of the columns, each of one value a row."""
    spec = dataset.element_spec
    columns = spec[0] if isinstance(spec, tuple) else spec
    if not isinstance(columns, Mapping):
        raise TypeError(
            "expected a dataset of a dict of columns, or of (columns, ...); received "
            f"{type(columns).__name__}."
        )
    for name, column in columns.items():
        if column.shape.rank != 1:
            raise ValueError(
                f"column {name!r} has shape {column.shape}; expected (batch,). Batch the dataset, "
                "and split a column of several values."
            )
    return dict(columns)
