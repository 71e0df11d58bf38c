"""What training data say of their columns of numbers, in one pass: moments, gaps, quantiles."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.data._tables._frames import Columns

Numbers = npt.NDArray[np.float64]

_SAMPLED_VALUES = 2**25  # of all columns together, 256 MB: enough to leave nothing out, mostly
_LOST = 1e-3  # deviations: a column that float32 moves by more is read as float64
_FLUSHED = 1e-37  # a deviation below it is near the numbers that processors take for 0


@dataclasses.dataclass(frozen=True)
class NumericColumn:
    """Says how one column of numbers is encoded: `(clip(f(x)) - mean) / deviation`.

    Args:
        name: The name of the column.
        dtype: `"float32"`, or `"float64"` where float32 would blur the column's values.
        log: Whether f(x) = sign(x) log(1 + |x|) compresses the values first; else f(x) = x.
        mean: Subtracted.
        deviation: Divided by; 1 where the training data have one value or none.
        low: Smallest f(x); smaller values are raised to it. `None` for no bound.
        high: Largest f(x); `None` for no bound.
        fill: The encoded value of a missing number; `None` where missing numbers are an error.
        flag: Whether a column of 0 and 1 says where a number is missing.
        boundaries: Of the bins of `layers.PiecewiseLinearEncoding`, as encoded values; empty for
            no bins.
    """

    name: str
    dtype: str = "float32"
    log: bool = False
    mean: float = 0.0
    deviation: float = 1.0
    low: float | None = None
    high: float | None = None
    fill: float | None = None
    flag: bool = False
    boundaries: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class NumericOptions:
    """Holds the arguments of `tabular_encoder` that concern numbers, after they were checked.

    Args:
        log: Columns to be compressed.
        missing: By column, `"median"`, `"mean"` or a number; columns that are not named may not
            have gaps.
        quantiles: Two quantiles as bounds of each column; `None` for no bounds.
        bins: The number of bins per column; 0 for none.
    """

    log: Sequence[str] = ()
    missing: Mapping[str, str | float] = dataclasses.field(default_factory=dict)
    quantiles: tuple[float, float] | None = None
    bins: int = 0

    @property
    def need_sample(self) -> bool:
        """Whether something is asked for that sums do not give."""
        return bool(self.quantiles or self.bins or "median" in self.missing.values())


def _as_read(values: Numbers) -> Numbers:
    """Returns values as they are, and as float32 holds them: `(2, ...)`."""
    with np.errstate(over="ignore"):
        return np.stack([values, values.astype(np.float32).astype(np.float64)])


def _blur(values: Numbers, log: npt.NDArray[np.bool_], dtypes: Sequence[np.dtype[Any]]) -> Numbers:
    """Returns for each column the furthest that float32 may move a number of its kind."""
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = np.abs(values)
        halves = np.spacing(sizes.astype(np.float32)).astype(np.float64) / 2
        halves[:, log] /= 1 + sizes[:, log]  # the derivative of log(1 + |x|)
    halves = np.where(np.isnan(values), 0.0, np.nan_to_num(halves, nan=np.inf))
    for place, dtype in enumerate(dtypes):
        if dtype.kind in "biu":
            halves[sizes[:, place] <= 2**24, place] = 0.0
        elif dtype != np.float64:
            halves[:, place] = 0.0
    return np.asarray(halves.max(axis=0, initial=0.0))


def compress(values: Numbers) -> Numbers:
    """Returns `sign(x) * log(1 + |x|)`, which shortens both tails, and keeps 0 and the sign."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


class NumericStatistics:
    """Adds up chunks of rows, and says how each column of numbers is to be encoded.

    Every column is followed twice: as it is, and as float32 holds it, since that is how a served
    model gets it. Sums are of differences from the first value, so that they stay exact where the
    mean is much larger than the deviation.

    Args:
        names: The columns of numbers.
        options: How they are to be encoded.
    """

    def __init__(self, names: Sequence[str], options: NumericOptions) -> None:
        self.names, self.options = list(names), options
        self.rows = 0
        size = len(self.names)
        self._log = np.array([name in options.log for name in self.names], bool)
        self._count = np.zeros(size)
        self._first = np.full((2, size), np.nan)
        self._sums = np.zeros((2, 2, size))  # of differences and their squares
        self._lost = np.zeros(size)  # the furthest that float32 may move a value
        self._constant: set[str] = set()
        self._blurred: dict[str, int] = {}  # the furthest that float64 moves a whole number
        self._sample = _Sample(max(2**16, _SAMPLED_VALUES // max(size, 1)))

    def add(self, columns: Columns) -> None:
        """Adds a chunk of rows.

        Raises:
            ValueError: If a number is infinite, or NaN in a column that may not have gaps. The
                message names the column.
        """
        self.rows += len(next(iter(columns.values())))
        if not self.names:
            return
        values = np.stack([self._read(name, columns[name]) for name in self.names], axis=-1)
        if self.options.need_sample:
            self._sample.add(values)
        dtypes = [columns[name].dtype for name in self.names]
        self._lost = np.maximum(self._lost, _blur(values, self._log, dtypes))
        both = _as_read(values)
        both[..., self._log] = compress(both[..., self._log])
        there = ~np.isnan(values)
        for column in np.flatnonzero(np.isnan(self._first[0]) & there.any(axis=0)):
            self._first[:, column] = both[:, there[:, column].argmax(), column]
        self._count += there.sum(axis=0)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            differences = np.where(there, both - self._first[:, None], 0.0)
            self._sums += differences.sum(axis=1), (differences**2).sum(axis=1)

    def columns(self) -> list[NumericColumn]:
        """Returns how each column is encoded.

        Raises:
            ValueError: If neither float32 nor float64 holds a column's values apart.
        """
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            means = self._sums[0] / self._count
            variances = np.maximum(self._sums[1] / self._count - means**2, 0.0)
            means = np.where(self._count > 0, means + self._first, 0.0)
            deviations = np.where(self._count > 0, np.sqrt(variances), 0.0)
        return [
            self._column(place, means[:, place], deviations[:, place])
            for place in range(len(self.names))
        ]

    def is_constant(self, name: str) -> bool:
        """Tells whether a column has one value, or none, once its long tails are clipped."""
        return name in self._constant

    def _read(self, name: str, column: npt.NDArray[Any]) -> Numbers:
        """Returns a column in float64; checks that a float64 holds it, and that it is finite."""
        values = column.astype(np.float64)
        missing = np.isnan(values)
        if np.isinf(values).any():
            raise ValueError(
                f"column {name!r} holds infinity, which has no mean; replace it by NaN, or by the "
                "largest number that the column should have."
            )
        if missing.any() and name not in self.options.missing:
            raise ValueError(
                f"column {name!r} holds NaN. missing='median', 'mean' or a number fills gaps "
                "inside the served graph, and adds a column that flags them."
            )
        if column.dtype.kind in "iu" and np.abs(values).max(initial=0) > 2**53:
            pairs = zip(column.tolist(), values.tolist(), strict=True)
            blurred = max(abs(whole - int(number)) for whole, number in pairs)
            self._blurred[name] = max(self._blurred.get(name, 0), blurred)
        return values

    def _column(self, place: int, means: Numbers, deviations: Numbers) -> NumericColumn:
        name = self.names[place]
        # A constant needs no precision, but that float32 can hold it at all.
        scale = deviations[0] or (np.inf if np.isfinite(means[1]) else 1.0)
        precise = bool(self._lost[place] <= _LOST * scale and scale >= _FLUSHED)
        kind = int(precise)
        mean, deviation = float(means[kind]), float(deviations[kind])
        low = high = None
        sample: Numbers = np.zeros(0)
        if self.options.need_sample and self._count[place]:
            sample = self._sample.values[:, place]
            sample = _as_read(sample[~np.isnan(sample)])[kind]
            sample = compress(sample) if self._log[place] else sample
        if self.options.quantiles and len(sample):
            low, high = map(float, np.quantile(sample, self.options.quantiles))
            sample = np.clip(sample, low, high)
            mean, deviation = float(sample.mean()), float(sample.std() if high > low else 0.0)
        if not np.isfinite([mean, deviation]).all():
            raise ValueError(
                f"column {name!r} holds numbers whose squares no float64 holds; name it in log, or "
                "divide it."
            )
        if self._blurred.get(name, 0) > _LOST * (deviations[0] or 1.0):
            raise ValueError(
                f"column {name!r} holds whole numbers beyond 2^53, which no float tells apart. If "
                "they are codes, name it in categorical; if an identifier, leave it out."
            )
        if not deviation:
            self._constant.add(name)
        column = NumericColumn(
            name,
            dtype="float32" if precise else "float64",
            log=bool(self._log[place]),
            mean=mean,
            deviation=deviation or 1.0,
            low=low,
            high=high,
            flag=bool(self._count[place] < self.rows),
        )
        return dataclasses.replace(
            column,
            fill=self._fill(column, sample),
            boundaries=_boundaries(column, sample, self.options.bins),
        )

    def _fill(self, column: NumericColumn, sample: Numbers) -> float | None:
        """Returns the encoded value of a missing number."""
        how = self.options.missing.get(column.name)
        if how is None:
            return None
        if how == "mean" or (how == "median" and not len(sample)):
            return 0.0
        if how == "median":
            value = float(np.median(sample))
        else:
            value = float(how)
            value = float(compress(np.array(value))) if column.log else value
            if column.low is not None:
                value = float(np.clip(value, column.low, column.high))
        return (value - column.mean) / column.deviation


class _Sample:
    """Keeps all rows up to a number, and beyond it as many of them, drawn at random.

    Each row gets a random key, and the rows with the smallest keys stay: a uniform sample
    whatever the number of rows, and the same for the same rows.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._random = np.random.default_rng(0)
        self._keys: list[Numbers] = []
        self._values: list[Numbers] = []

    def add(self, values: Numbers) -> None:
        """Adds rows `(rows, columns)`."""
        self._keys.append(self._random.random(len(values)))
        self._values.append(values)
        if sum(map(len, self._keys)) > 2 * self._size:
            self._thin()

    def _thin(self) -> None:
        keys, values = np.concatenate(self._keys), np.concatenate(self._values)
        if len(keys) > self._size:
            kept = np.argpartition(keys, self._size)[: self._size]
            keys, values = keys[kept], values[kept]
        self._keys, self._values = [keys], [values]

    @property
    def values(self) -> Numbers:
        """The rows that were kept, `(rows, columns)`."""
        self._thin()
        return self._values[0]


def _boundaries(column: NumericColumn, sample: Numbers, bins: int) -> tuple[float, ...]:
    """Returns the boundaries of bins with equal numbers of training rows, as encoded values."""
    if not bins:
        return ()
    if not len(sample):
        return (0.0, 1.0)
    encoded = np.sort(((sample - column.mean) / column.deviation).astype(np.float32))
    values, counts = np.unique(encoded, return_counts=True)
    # A value that many rows share (0, of amounts of money) is a boundary by itself: quantiles of
    # all rows would leave one bin or two to the rows that differ.
    shared = values[counts * bins >= len(encoded)]
    differing = encoded[~np.isin(encoded, shared)]
    rest = np.linspace(0, 1, max(bins - len(shared), 1) + 1)
    quantiles = np.quantile(differing, rest) if len(differing) else differing
    boundaries = np.unique(np.append(shared, quantiles.astype(np.float32))).tolist()
    return tuple(boundaries) if len(boundaries) > 1 else (boundaries[0], boundaries[0] + 1.0)
