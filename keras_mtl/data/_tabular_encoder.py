"""A model from the raw columns of a table to numbers, for the pipeline and the served graph."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.data._tables._category_codes import UNKNOWN, CategoryCodes
from keras_mtl.data._tables._encoder_options import (
    read_clip,
    read_numeric_options,
    split_columns,
)
from keras_mtl.data._tables._numeric_columns import NumericColumns
from keras_mtl.data._tables._numeric_statistics import NumericColumn, NumericStatistics
from keras_mtl.data._tables._table import Table, open_table
from keras_mtl.data._tables._vocabularies import Vocabularies

_EXACT = 2**24  # whole numbers up to here are exact in float32


def tabular_encoder(
    dataset: tf.data.Dataset | Mapping[str, Any] | Any,
    *,
    log: Sequence[str] = (),
    missing: str | float | Mapping[str, str | float] | None = None,
    categorical: Sequence[str] = (),
    clip: float | tuple[float, float] | None = None,
    bins: int | None = None,
) -> keras.Model:
    """Builds a model that turns raw columns into numbers, from statistics of training data.

    Numbers are standardized: `(x - mean) / deviation`, over the values that are not missing.
    Strings and codes become their index in the column's vocabulary (0 for those that the training
    data lack), plus the sizes of the vocabularies of the columns before. The model learns nothing
    in training and holds its statistics and vocabularies itself, in a `.keras` file as in a
    SavedModel. `embed_columns` turns its output into features.

    String lookups cost more than a training step of a small network, and XLA compiles none.
    Encode in the pipeline, train a network on the encoded columns, and put encoder and network
    together with `with_preprocessing` for serving:

        encoder = data.tabular_encoder(train, missing="median")
        encoded = train.map(lambda columns, labels: (encoder(columns), labels)).cache()
        network = architectures.mmoe(data.embed_columns(encoder), tasks)
        ...
        served = data.with_preprocessing(encoder, network)

    `architectures.mmoe(data.embed_columns(encoder, encoder.output), tasks)` trains on the raw
    columns themselves. `data.from_table` makes a dataset of a data frame. A `.keras` file is
    loaded after `import keras_mtl`; a SavedModel needs TensorFlow alone.

    *Gaps.* A missing number is NaN. Without `missing` it is an error, in the training data and in
    a row that is served: a ReLU would turn it into a plausible 0. A missing string is the empty
    one: where the training data have gaps it is a word of the vocabulary. So is NaN in a column of
    codes; `missing` concerns numbers alone.

    *What else can be wrong with a column.* A column with one value, or without any, has no
    deviation: it counts as 1, and a warning names the column. Infinity is refused in training
    data; in a row that is served it is an error, unless `clip` bounds it. A column whose values
    float32 would blur (whole numbers beyond 2^24 that lie close together) is read in float64, and
    whole numbers beyond 2^53 that lie close together are refused.

    Args:
        dataset: Training data, read once: batches of a dict of columns, or of `(columns, ...)`,
            where a column has the shape `(batch,)` or `(batch, 1)`; or a frame of pandas or
            polars; or a dict of arrays. The same rows give the same encoder, to the last bit. Of
            frames and dicts of arrays, dates are read as days since 1970-01-01 in UTC, and
            `None`, `NA` and `NaT` are missing; served rows are given in the same way.
        log: Columns of numbers with long tails, of which `sign(x) * log(1 + |x|)` is taken
            first.
        missing: How NaN is filled: by the `"median"` or the `"mean"` of the training data, or by a
            number; a dict says so for some of the columns. Each column with gaps in the training
            data gets a flag, a further column that is 1 where the number is missing and else 0.
            With `log`, the mean is that of the compressed values. Defaults to an error.
        categorical: Columns of numbers that are codes of categories, such as numbers of wards:
            whole numbers, or NaN. Columns that pandas holds as `category` need not be named.
        clip: Bounds of numbers, against outliers in served rows, and in training data. A number c
            clips to c deviations from the mean; a pair of quantiles, such as `(0.01, 0.99)`, to
            these quantiles of the training data before mean and deviation are taken, which an
            outlier then does not move. Defaults to no bounds.
        bins: The number of bins per column of numbers, for `embed_columns(numeric="piecewise")`;
            48 is usual. Their boundaries are quantiles of the training data; a value that a bin's
            share of the rows or more have in common is a boundary by itself, and the rows that
            differ from it share the other bins. Defaults to no bins.

    Medians, quantiles and bins are those of all rows, up to 2^25 numbers in all; of longer
    tables, those of as many rows drawn at random.

    Returns:
        A `keras.Model` from a dict of columns, `(batch,)` or `(batch, 1)`, to a float32 tensor
        `(batch, columns)`: first the numbers, then the flags, then the indices of strings and
        codes, each in the order of the table. Unlike `keras.utils.FeatureSpace.adapt`, which reads
        the data at least once per column (docs/keras_notes.md, pain 85), it is built in one pass.

    Raises:
        TypeError: If the dataset does not yield a dict of columns, or a column holds neither
            numbers nor strings.
        ValueError: If a column has more than one value per row, an argument names a column that is
            not there or has a value that it cannot have, a number is infinite, or NaN without
            `missing`, or the dataset is empty. The message names the column.

    Example:
        >>> columns = {"age": [20.0, 40.0, float("nan")], "city": ["Rome", "Oslo", "Rome"]}
        >>> encoder = tabular_encoder(columns, missing="median")
        >>> rows = {"age": tf.constant([40.0, float("nan")]), "city": tf.constant(["Oslo", "Bari"])}
        >>> encoder(rows).numpy().tolist()  # age, whether it is missing, and the city's number
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    table = open_table(dataset)
    limit, quantiles = read_clip(clip)
    numbers, codes = split_columns(table, categorical)
    options = read_numeric_options(numbers, log, missing, quantiles, bins)
    statistics = NumericStatistics(numbers, options)
    vocabularies = Vocabularies([name for name in table.dtypes if table.is_text(name)], codes)
    for chunk in table.chunks():
        statistics.add(chunk)
        vocabularies.add(chunk)
    if not statistics.rows:
        raise ValueError("the dataset is empty; expected at least one row.")
    columns = statistics.columns()
    _warn_of_constants(columns, statistics)
    inputs = _make_inputs(table, columns, vocabularies)
    encoded = []
    if numbers:
        layer = NumericColumns(columns, limit, name="standardize")
        encoded.append(layer([inputs[name] for name in numbers]))
    categories = {name: inputs[name] for name in table.dtypes if name not in numbers}
    if categories:
        encoded.append(_look_up(categories, vocabularies))
    output = ops.concatenate(encoded, axis=-1) if len(encoded) > 1 else encoded[0]
    return keras.Model(inputs, output, name="tabular_encoder")


def _make_inputs(
    table: Table, columns: Sequence[NumericColumn], vocabularies: Vocabularies
) -> dict[str, Tensor]:
    """Returns one symbolic input `(batch,)` per column, of a dtype that holds it exactly."""
    dtypes = {column.name: column.dtype for column in columns}
    inputs = {}
    for name, dtype in table.dtypes.items():
        if table.is_text(name):
            dtypes[name] = "string"
        elif name not in dtypes:
            dtypes[name] = _code_dtype(vocabularies.codes(name), dtype)
        inputs[name] = keras.Input((), dtype=dtypes[name], name=name)
    return inputs


def _warn_of_constants(columns: Sequence[NumericColumn], statistics: NumericStatistics) -> None:
    """Warns of columns that have no deviation."""
    constant = [column.name for column in columns if statistics.is_constant(column.name)]
    if constant:
        warnings.warn(
            f"column(s) {', '.join(map(repr, constant))} hold one value or none in the training "
            "data: their deviation counts as 1, and nothing can be learned from the number. Leave "
            "them out, unless a gap in them says something.",
            stacklevel=3,
        )


def _code_dtype(codes: Sequence[int], dtype: Any) -> str:
    """Returns the dtype of an input of codes, which holds them exactly."""
    if dtype.kind in "biu":
        return "int64"
    largest = max((abs(code) for code in codes if abs(code) < 2**62), default=0)
    return "float32" if largest <= _EXACT else "float64"


def _layer_name(name: str) -> str:
    """Returns a name that TensorFlow takes for a layer, which differs for different names."""
    return re.sub(r"^[^A-Za-z0-9]|[^\w.-]", lambda sign: f"_{ord(sign[0]):x}_", name, flags=re.A)


def _make_lookup(name: str, column: Tensor, vocabularies: Vocabularies) -> keras.layers.Layer:
    """Returns the layer from the values of a column to their indices, 0 for unknown ones."""
    layer_name = _layer_name(f"{name}_lookup")
    if column.dtype != "string":
        codes = vocabularies.codes(name)
        return keras.layers.IntegerLookup(vocabulary=codes, oov_token=UNKNOWN, name=layer_name)
    words = vocabularies.words(name)
    unknown = "[UNK]"
    while unknown in words:  # a word of the data as good as any other
        unknown += "_"
    return keras.layers.StringLookup(vocabulary=words, oov_token=unknown, name=layer_name)


def _look_up(table_columns: Mapping[str, Tensor], vocabularies: Vocabularies) -> Tensor:
    """Stacks the indices of categories in one common vocabulary, `(batch, categories)`."""
    indices, offsets, sizes = [], [0], {}
    for name, column in table_columns.items():
        lookup = _make_lookup(name, column, vocabularies)
        if column.dtype not in ("string", "int64"):
            column = CategoryCodes(name=_layer_name(f"{name}_codes"))(column)
        indices.append(lookup(column))
        sizes[name] = lookup.vocabulary_size()
        offsets.append(offsets[-1] + sizes[name])
    if offsets[-1] > _EXACT:
        raise ValueError(
            f"the vocabularies have {offsets[-1]:,} entries in all, and float32 counts to "
            f"{_EXACT:,}; leave out column {max(sizes, key=sizes.__getitem__)!r}, which has the "
            "most, or hash it."
        )
    # Each column has its own range of indices, so that one embedding serves all of them.
    shift = keras.layers.Rescaling(1.0, offset=offsets[:-1], dtype="float32", name="offsets")
    return shift(ops.cast(ops.stack(indices, axis=-1), "float32"))
