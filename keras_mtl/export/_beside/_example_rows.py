"""Rows that a network takes, made from its inputs alone."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_mtl._keras_internals import nested_layers, operation_of, operations_after
from keras_mtl._types import Tensor
from keras_mtl.export._beside._recorded import Rows

NUM_ROWS = 4
_MANY_ENTRIES = 20_000  # of a row; one row of a large image says enough
_LENGTHS = (4, 16, 64)  # tried for axes of any length, such as positions of a text
_UNSEEN = "an unseen word"

Run = Callable[[Rows], Mapping[str, npt.NDArray[Any]]]


def find_example_rows(inputs: Mapping[str, Tensor], run: Run) -> tuple[Rows, Rows]:
    """Returns rows that a network takes, and its answers to them.

    They are no rows of anyone's data, so they may lie beside the model for all to read. Strings
    and codes are words of the lookup layers behind an input, and one unseen word; other strings
    are tried as text, then as the bytes of a small image. Floats are positive and differ from row
    to row. Rows with finite answers are preferred.

    Args:
        inputs: The symbolic inputs by name.
        run: Answers rows.

    Returns:
        Rows by input, and answers by output.

    Raises:
        ValueError: If the network takes none of the rows that were tried.
    """
    fallback, reason = None, "there is nothing to try"
    for rows in _candidates(inputs):
        try:
            answers = run(rows)
        except (tf.errors.OpError, ValueError) as error:
            reason = _first_line(error)
            continue
        if all(np.isfinite(answer).all() for answer in answers.values()):
            return rows, answers
        fallback = fallback or (rows, answers)
    if fallback is None:
        raise ValueError(
            "The network takes none of the rows that were made up from its inputs "
            f"{ {name: (x.dtype, x.shape) for name, x in inputs.items()} }, so no answers can be "
            "recorded for a test of the exported model. Pass rows that it takes: "
            f"examples={{input name: values}}. Its last error was: {reason}"
        )
    return fallback


def _first_line(error: Exception) -> str:
    """Returns what an error says, without what TensorFlow puts above it."""
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    headings = ("Graph execution error", "Detected at node", "File ", "<stack traces")
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in lines if line and not line.startswith(headings)), repr(error))


def read_examples(inputs: Mapping[str, Tensor], examples: Any) -> Rows:
    """Returns the rows of a user as arrays by input.

    Args:
        inputs: The symbolic inputs by name.
        examples: Values by input, or the values of the only input.

    Raises:
        ValueError: If an input has no values, values have no input, shapes do not fit, or numbers
            of rows differ.
    """
    if not isinstance(examples, Mapping):
        examples = dict.fromkeys(inputs, examples) if len(inputs) == 1 else {}
    if set(examples) != set(inputs):
        raise ValueError(
            f"examples must have values for exactly the inputs {sorted(inputs)}; received "
            f"{sorted(examples)}."
        )
    rows = {}
    for name, x in inputs.items():
        dtype = keras.backend.standardize_dtype(x.dtype)
        values = keras.ops.convert_to_numpy(examples[name])
        fits = all(
            n in (None, size) for n, size in zip(x.shape[1:], values.shape[1:], strict=False)
        )
        if not fits or len(values.shape) != len(x.shape):
            raise ValueError(
                f"examples of input {name!r} must have the shape {tuple(x.shape)}; received "
                f"{values.shape}."
            )
        rows[name] = values.astype(object) if dtype == "string" else values.astype(dtype)
    counts = {name: len(values) for name, values in rows.items()}
    if len(set(counts.values())) != 1 or not min(counts.values()):
        raise ValueError(f"examples must be as many rows of each input; received {counts}.")
    return rows


def _candidates(inputs: Mapping[str, Tensor]) -> Iterator[Rows]:
    """Yields rows to try, those that say most first."""
    has_free_axes = any(None in x.shape[1:] for x in inputs.values())
    has_strings = any(x.dtype == "string" for x in inputs.values())
    words = {name: _known_words(x) for name, x in inputs.items()}
    lengths = _LENGTHS if has_free_axes else _LENGTHS[:1]
    for length, is_image, is_plain in itertools.product(
        lengths, (False, True) if has_strings else (False,), (False, True)
    ):
        size = max(
            int(np.prod([length if n is None else n for n in x.shape[1:]])) for x in inputs.values()
        )
        fixed = [x.shape[0] for x in inputs.values() if x.shape[0] is not None]
        num_rows = fixed[0] if fixed else (NUM_ROWS if size <= _MANY_ENTRIES else 1)
        yield {
            name: _values(
                keras.backend.standardize_dtype(x.dtype),
                (num_rows, *(length if n is None else n for n in x.shape[1:])),
                _image if is_image and not words[name] else _cycle(words[name]),
                is_plain,
            )
            for name, x in inputs.items()
        }


def _values(
    dtype: str, shape: tuple[int, ...], text: Callable[[int], Any], is_plain: bool
) -> npt.NDArray[Any]:
    """Returns values that differ from row to row; plain ones are zeros, or all alike."""
    places = np.arange(int(np.prod(shape[1:]))).reshape(1, *shape[1:])
    rows = np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    turns = (places + rows) * (not is_plain)
    if dtype == "string":
        values = np.empty(shape, object)
        for place, turn in np.ndenumerate(turns):
            values[place] = text(int(turn))
        return values
    if dtype == "bool" or "int" in dtype:
        values = np.vectorize(text)(turns) if isinstance(text(0), int) else turns % 2
    else:
        values = 0.25 * (1 + (7 * rows + 3 * places) % 11) * (not is_plain)
    return values.astype("float32" if dtype == "bfloat16" else dtype)


def _cycle(words: list[Any]) -> Callable[[int], Any]:
    """Returns a function from a number to one of some words, or else to an unseen one."""
    return lambda turn: words[turn % len(words)] if words else _UNSEEN


def _image(turn: int) -> bytes:
    """Returns the bytes of a small image file."""
    pixels = (np.arange(8 * 8 * 3).reshape(8, 8, 3) + 40 * turn) % 256
    contents: bytes = tf.io.encode_png(pixels.astype(np.uint8)).numpy()
    return contents


def _known_words(x: Tensor) -> list[Any]:
    """Returns some words of the lookup layers that read an input, and an unseen one."""
    for operation in operations_after(operation_of(x)):
        if not isinstance(operation, keras.layers.Layer):
            continue
        for layer in nested_layers(operation):
            words = _some_words(layer)
            if words and isinstance(words[0], str) == (x.dtype == "string"):
                return words
    return []


def _some_words(layer: keras.layers.Layer) -> list[Any]:
    lookups = (
        keras.layers.StringLookup,
        keras.layers.IntegerLookup,
        keras.layers.TextVectorization,
    )
    if not isinstance(layer, lookups):
        return []
    if isinstance(layer, keras.layers.IntegerLookup):
        codes = layer.get_vocabulary(include_special_tokens=False)
        return [int(code) for code in codes[:3]]
    words = layer.get_vocabulary(include_special_tokens=False)
    has_unseen = getattr(layer, "num_oov_indices", 1) > 0
    return [str(word) for word in words[:3]] + ([_UNSEEN] if has_unseen else [])
