"""How similar the representations of networks are, on the same rows."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._names import read_names
from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers
from keras_mtl.analysis._printing._tables import format_number, format_table
from keras_mtl.analysis._representations._cka import biased_cka, sum_hsic
from keras_mtl.analysis._representations._rsa import distance_correlations

_MAX_TASKS = 10  # in the text


@dataclasses.dataclass(frozen=True)
class RepresentationSimilarity:
    """Holds the similarities of representations, all `[K, K]`. `print` shows CKA as a table.

    Args:
        tasks: The names of the K tasks, or networks.
        rows: The number of rows.
        cka: Unbiased linear CKA, with 1 on the diagonal; near 0 for unrelated representations, and
            it may be slightly below.
        biased_cka: Linear CKA as it is often computed. It is high for unrelated representations
            with few rows, and stands here to compare with other results only.
        rsa: Spearman's correlation of the distances between rows; NaN if it was not computed.
        missing: By task, why its representation has no similarity.

    Example:
        >>> x = [[0], [1], [3], [7]]
        >>> print(representation_similarity({"b": x, "a": x}))
        CKA  b  a
        b    1  1
        a    1  1
        from 4 rows
    """

    tasks: tuple[str, ...]
    rows: int
    cka: FloatArray
    biased_cka: FloatArray
    rsa: FloatArray
    missing: dict[str, str]

    def __str__(self) -> str:
        shown = self.tasks[:_MAX_TASKS]
        table = format_table(
            ["CKA", *shown],
            [
                [task, *map(format_number, row[: len(shown)])]
                for task, row in zip(shown, self.cka.tolist(), strict=False)
            ],
        )
        lines = [table, f"from {self.rows} rows"]
        if len(self.tasks) > len(shown):
            lines.append(f"... {len(self.tasks)} tasks in all; see .cka")
        lines += [f"{task}: {reason}" for task, reason in self.missing.items()]
        return "\n".join(lines)


def representation_similarity(
    representations: Mapping[Any, Any], *, rsa: bool | None = None, batch_size: int = 2048
) -> RepresentationSimilarity:
    """Computes how similar representations of the same rows are, by CKA and by RSA.

    With representations X `[n, p]` and Y `[n, q]`, K = XX' and L = YY' with zeros on the diagonal:

        HSIC(K, L) = [tr KL + sum K sum L / ((n - 1)(n - 2)) - 2 / (n - 2) 1'KL1] / (n (n - 3))
        CKA        = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))

    which is unbiased: 0 on average for unrelated representations, for any number of rows. More rows
    than `batch_size` are cut into batches, and the three HSICs are summed over these before they
    are divided. RSA is Spearman's correlation between the Euclidean distances of all pairs of rows
    in X and in Y.

    Choose it to compare what networks have learned: pass the output of the last shared layer of
    each single-task network for the same rows. Similar representations are a candidate for sharing,
    no evidence that it helps. CKA follows the directions with the largest variance, and does not
    change under rotation, scale and shift; a representation whose columns differ in scale is
    dominated by few of them. RSA follows the order of distances.

    Args:
        representations: By task or network, `[rows, features]`; further axes are flattened, and
            features may differ in number. All from the same rows, in the same order.
        rsa: Whether to compute RSA, whose cost grows with the square of the rows: by default with
            at most 2,000 rows.
        batch_size: Rows per batch of CKA, at least 4.

    Returns:
        A `RepresentationSimilarity`. A representation that is constant, and one whose HSIC with
        itself is not positive, has no similarity: NaN, and `missing` says why.

    Raises:
        TypeError: If `representations` is no dict, or a value is no number.
        ValueError: If numbers of rows differ, there are fewer than four rows, or a value is missing
            or infinite.

    Example:
        >>> x = [[1, 0], [0, 1], [2, 1], [1, 3], [3, 2], [0, 0]]
        >>> y = [[1], [2], [2], [5], [4], [0]]
        >>> similarity = representation_similarity({"views": x, "age": y})
        >>> round(float(similarity.cka[0, 1]), 4), round(float(similarity.rsa[0, 1]), 4)
        (0.762, 0.7053)

    Reference:
        Kornblith et al. 2019, arXiv:1905.00414 (CKA); Song et al. 2012, "Feature Selection via
        Dependence Maximization" (the unbiased HSIC); Nguyen et al. 2021, arXiv:2010.15327
        (batches); Murphy et al. 2024, arXiv:2405.01012 (the bias). Dwivedi and Roig 2019,
        arXiv:1904.11740 (RSA of tasks). Popular code subtracts the diagonal by broadcasting instead
        of setting it to 0, calls the biased value unbiased, or averages the ratios of batches.
    """
    names, arrays = _read(representations)
    num_rows = len(arrays[0])
    if batch_size < 4:
        raise ValueError(f"batch_size is {batch_size}; expected at least 4 rows.")
    scaled = [_scale(array) for array in arrays]
    hsic = sum_hsic(scaled, batch_size)
    selves = np.diagonal(hsic)
    constant = np.array([not array.any() for array in scaled])
    defined = (selves > 0) & ~constant
    with np.errstate(invalid="ignore", divide="ignore"):
        cka = hsic / np.sqrt(np.outer(selves, selves))
    cka[~(defined & defined[:, None])] = np.nan
    cka[defined, defined] = 1.0
    order = np.full(cka.shape, np.nan)
    if rsa or (rsa is None and num_rows <= 2000):
        order = distance_correlations(scaled)
    return RepresentationSimilarity(
        names, num_rows, cka, biased_cka(scaled), order, _explain(names, constant, defined)
    )


def _read(representations: Mapping[Any, Any]) -> tuple[tuple[str, ...], list[FloatArray]]:
    if not isinstance(representations, Mapping):
        raise TypeError(
            f"representations is of type {type(representations).__name__}; expected a dict of "
            "arrays by task."
        )
    names = read_names(representations)
    if not names:
        raise ValueError("representations is empty; expected at least one.")
    arrays = []
    for name, values in zip(names, representations.values(), strict=True):
        array = read_numbers(values, f"representation {name!r}")
        if not array.ndim:
            raise ValueError(
                f"representation {name!r} is {values!r}; expected an array (rows, features)."
            )
        array = array.reshape(len(array), -1) if array.size else array.reshape(len(array), 0)
        if not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
            raise ValueError(
                f"representation {name!r} has a missing or infinite value in row {row}; expected "
                "finite numbers. Leave the row out of all representations."
            )
        arrays.append(array)
    for name, array in zip(names, arrays, strict=True):
        if len(array) != len(arrays[0]):
            raise ValueError(
                f"representation {name!r} has {len(array)} rows and {names[0]!r} "
                f"{len(arrays[0])}; expected the same rows."
            )
    if len(arrays[0]) < 4:
        raise ValueError(f"representations have {len(arrays[0])} rows; expected at least 4.")
    return names, arrays


def _scale(array: FloatArray) -> FloatArray:
    """Returns centered features of a common scale near 1; a constant representation becomes 0."""
    size = np.abs(array).max(initial=0.0)
    if not size:
        return array
    centered = array / size
    centered = centered - centered.mean(axis=0)
    spread = np.abs(centered).max()
    return centered / spread if spread > 1e-13 else np.zeros_like(array)


def _explain(names: Iterable[str], constant: Any, defined: Any) -> dict[str, str]:
    reasons = {}
    for name, is_constant, is_defined in zip(names, constant, defined, strict=True):
        if is_constant:
            reasons[name] = "its representation is the same in all rows"
        elif not is_defined:
            reasons[name] = "its HSIC with itself is not positive: too few rows"
    return reasons
