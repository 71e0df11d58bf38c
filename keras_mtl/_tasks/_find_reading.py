"""Finds out what a user's loss reads, by calling it with small arrays."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, get_args

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from keras_mtl._backend import outside_graphs
from keras_mtl._tasks._known_losses import known_reading
from keras_mtl._tasks._labels import Labels
from keras_mtl._tasks._reading import Reading, Reads, check_reads

Array: TypeAlias = npt.NDArray[Any]
Pair: TypeAlias = tuple[Array, ...]
"""Labels and predictions."""
Shape: TypeAlias = Sequence[int | None]

_LENGTH = 3  # of an axis of unknown length
_MOST_NUMBERS = 100_000  # longer axes are shortened, unless the loss does not take them so
_SHORT = 8


def declared_reading(loss: keras.losses.Loss, reads: str | None) -> Reading | None:
    """Returns what is known of a loss without calling it.

    Args:
        loss: The loss. An attribute `reads` of it says what it reads.
        reads: What the user says that it reads, or `None`.

    Raises:
        ValueError: If `reads` is none of the four kinds, or contradicts a loss of Keras.
    """
    known = known_reading(loss)
    declared = getattr(loss, "reading", None)
    if known is None and isinstance(declared, Reading):  # a loss of this package
        known = declared
    said = reads if reads is not None else getattr(loss, "reads", None)
    if said is None:
        return known
    if known is not None and known.reads != check_reads(said):
        raise ValueError(
            f"{loss.name} reads {known.reads!r}, and reads={said!r} says otherwise; leave it out."
        )
    return known or Reading(check_reads(said))


def find_reading(
    loss: keras.losses.Loss, label_shape: Shape, prediction_shape: Shape, labels: Labels | None
) -> Reading:
    """Finds out what a loss reads, by calling it with small arrays.

    One value of an elementwise loss is the same whatever the other entries, positions and
    examples are; and so on for the other kinds. What holds for all arrays that are tried is taken
    for a property of the loss.

    Args:
        loss: The loss.
        label_shape: The shape of a batch of labels; `None` for an axis of unknown length.
        prediction_shape: The shape of a batch of predictions.
        labels: The description of the labels, whose range is respected.

    Raises:
        ValueError: If the loss takes none of these arrays, or draws random numbers.
    """
    errors: list[Exception] = []
    with outside_graphs(), _unchanged(loss):
        for shapes in _sizes(label_shape, prediction_shape):
            for casts in (True, False):
                try:
                    return _Probe(loss, *shapes, labels, casts).reading()
                except Exception as error:  # of whatever kind: the loss is a user's
                    errors.append(error)
    reason = str(errors[0]).strip().split("\n")[0]
    if not isinstance(errors[0], _UndecidedError):
        reason = f"it raises {type(errors[0]).__name__}: {reason}"
    raise ValueError(
        f"what the loss {loss.name} reads cannot be found out: on labels {tuple(label_shape)} and "
        f"predictions {tuple(prediction_shape)} {reason} Give the task reads='element', "
        "'last axis', 'example' or 'batch'."
    ) from errors[0]


@contextlib.contextmanager
def _unchanged(loss: keras.losses.Loss) -> Iterator[None]:
    """Gives the variables of a loss, such as running means, their values back."""
    variables = [value for value in vars(loss).values() if isinstance(value, keras.Variable)]
    values = [variable.numpy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


class _UndecidedError(Exception):
    """Says why values of a loss do not tell what it reads."""


def _sizes(label_shape: Shape, prediction_shape: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """Yields shapes without unknown axes: first with short axes, where they are long."""
    both = (label_shape, prediction_shape)
    shapes = [[_LENGTH if size is None else size for size in shape[1:]] for shape in both]
    taken = set(itertools.chain(*shapes))
    rows = next(n for n in itertools.count(5) if n not in taken)
    if max(np.prod(shape) for shape in shapes) > _MOST_NUMBERS:
        short = [[min(size, _SHORT) for size in shape] for shape in shapes]
        yield [rows, *short[0]], [rows, *short[1]]
    yield [rows, *shapes[0]], [rows, *shapes[1]]


class _Probe:
    """Calls a loss with arrays of one shape.

    Args:
        loss: The loss.
        label_shape: The shape of the labels.
        prediction_shape: The shape of the predictions.
        labels: The description of the labels, or `None`.
        casts: Whether labels are cast to the dtype of the loss, as Keras does. Otherwise they are
            integers.
    """

    def __init__(
        self,
        loss: keras.losses.Loss,
        label_shape: list[int],
        prediction_shape: list[int],
        labels: Labels | None,
        casts: bool,
    ) -> None:
        self.loss, self.labels, self.casts = loss, labels or Labels(), casts
        self.label_shape, self.prediction_shape = label_shape, prediction_shape
        self._rng = np.random.default_rng(0)

    def reading(self) -> Reading:
        """Returns the coarsest kind that any of the arrays shows.

        Raises:
            _UndecidedError: If equal arrays give different values, or no value is finite.
            Exception: What the loss raises, if it takes none of the arrays.
        """
        kinds: set[Reads] = set()
        errors: list[Exception] = []
        for is_whole, is_sorted in ((False, False), (True, False), (False, True)):
            first, second = (self._draw(is_whole, is_sorted) for _ in range(2))
            try:
                values, again = self._call(*first), self._call(*first)
                is_finite = np.all(np.isfinite(values)) and np.all(np.isfinite(self._call(*second)))
            except Exception as error:  # it takes no labels of this sort
                errors.append(error)
                continue
            if not np.array_equal(values, again, equal_nan=True):
                raise _UndecidedError("it gives different values for equal labels and predictions.")
            if is_finite:
                kinds.add(self._kind(first, second))
        if not kinds:
            raise errors[0] if errors else _UndecidedError("none of its values is finite.")
        reads: Reads = next(kind for kind in reversed(get_args(Reads)) if kind in kinds)
        return Reading(reads, casts=self.casts)

    def _draw(self, is_whole: bool, is_sorted: bool) -> Pair:
        """Returns random labels and predictions; `is_sorted` along the last axis, as boxes are."""
        drawn: Array
        low, high = self.labels.low, self.labels.high
        if self.labels.integer or is_whole or not self.casts:
            low = 0 if low is None else low
            high = low + 1 if high is None else high
            drawn = self._rng.integers(int(low), int(high), self.label_shape, endpoint=True)
        else:
            low = (0.0 if high is None else high - 1.0) if low is None else low
            high = low + 1.0 if high is None else high
            drawn = low + (high - low) * self._rng.uniform(0.1, 0.9, self.label_shape)
        predictions = self._rng.uniform(0.1, 0.9, self.prediction_shape)
        if is_sorted and not self.labels.integer:
            return np.sort(drawn, axis=-1), np.sort(predictions, axis=-1)
        return drawn, predictions

    def _call(self, labels: Array, predictions: Array) -> Array:
        dtype = self.loss.dtype if self.casts else "int32"
        labels = ops.convert_to_tensor(labels.astype(dtype))
        predictions = ops.convert_to_tensor(predictions.astype(self.loss.dtype))
        return np.asarray(ops.convert_to_numpy(self.loss.call(labels, predictions)))

    def _kind(self, first: Pair, second: Pair) -> Reads:
        rank = len(self.prediction_shape)
        values = self._call(*first)
        rows = np.arange(self.prediction_shape[0]) % 2 == 0
        if values.shape[:1] != rows.shape or not self._is_local(first, second, rows):
            return "batch"
        fewer = self._call(*(array[rows] for array in first))
        if fewer.shape[1:] != values.shape[1:] or not _equal(fewer, values[rows]):
            return "batch"
        if self._is_elementwise(first, second, values):
            return "element"
        positions = self._rng.random(self.prediction_shape[: max(1, rank - 1)]) < 0.5
        return "last axis" if self._is_local(first, second, positions) else "example"

    def _is_local(self, first: Pair, second: Pair, choice: Array) -> bool:
        """Tells whether values follow a choice, unit by unit, between two pairs of arrays."""
        size = choice.ndim
        if any(array.shape[:size] != choice.shape for array in first):
            return False
        mixed = [
            np.where(_expand(choice, a.ndim), a, b) for a, b in zip(first, second, strict=True)
        ]
        values, of_first, of_second = (self._call(*pair) for pair in (mixed, first, second))
        if values.shape[:size] != choice.shape:
            return False
        return _equal(values, np.where(_expand(choice, values.ndim), of_first, of_second))

    def _is_elementwise(self, first: Pair, second: Pair, values: Array) -> bool:
        """Tells whether values are means over entries, each of which could be alone on its axis."""
        if self.label_shape != self.prediction_shape:
            return False
        entries = [tuple(array[..., np.newaxis] for array in pair) for pair in (first, second)]
        choice = self._rng.random(self.prediction_shape) < 0.5
        try:
            of_entries = self._call(*entries[0])
            if not self._is_local(entries[0], entries[1], choice):
                return False
        except Exception:  # it needs a last axis of another length
            return False
        of_entries = of_entries.reshape(self.prediction_shape)
        if values.shape == of_entries.shape:
            return _equal(values, of_entries)
        means = of_entries.mean(axis=-1)
        return values.size == means.size and _equal(values.reshape(means.shape), means)


def _expand(choice: Array, rank: int) -> Array:
    return choice.reshape(choice.shape + (1,) * (rank - choice.ndim))


def _equal(values: Array, expected: Array) -> bool:
    return bool(np.allclose(values, expected, rtol=1e-4, atol=1e-6))
