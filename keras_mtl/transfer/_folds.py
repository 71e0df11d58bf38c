"""Rows cut into folds, and the rows of arrays in any structure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.model_selection import GroupKFold, KFold, check_cv

from keras_mtl.data._elements._numbers import read_whole

_Rows = npt.NDArray[np.int64]


def count_rows(x: Any) -> int:
    """Returns the number of rows of inputs.

    Raises:
        ValueError: If inputs have no rows, or different numbers of them.
    """
    lengths = {int(leaf.shape[0]) if leaf.shape else 0 for leaf in tf.nest.flatten(x)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "out_of_fold: inputs must be arrays with one entry per row, and at least one row; "
            f"received arrays of the lengths {sorted(lengths)}."
        )
    return lengths.pop()


def take_rows(x: Any, rows: _Rows) -> Any:
    """Returns some rows of arrays, frames, tensors or SciPy's sparse matrices; `None` of `None`."""
    if x is None:
        return None
    if isinstance(x, Mapping):
        return {name: take_rows(leaf, rows) for name, leaf in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(take_rows(leaf, rows) for leaf in x)
    if hasattr(x, "iloc"):
        return x.iloc[rows]
    if isinstance(x, tf.Tensor | tf.RaggedTensor):
        return tf.gather(x, rows)
    return x.tocsr()[rows] if hasattr(x, "tocsr") else x[rows]


def read_folds(
    folds: Any, y: Mapping[str, Any], groups: Any, rows: int
) -> list[tuple[_Rows, _Rows]]:
    """Returns for each fold the rows outside of it and those in it.

    Args:
        folds: A number, a splitter of scikit-learn, or pairs.
        y: Labels by task; a splitter sees them if there is one task.
        groups: The group of each row, or `None`.
        rows: The number of rows.

    Raises:
        ValueError: If the folds are no partition of the rows, or groups do not fit.
    """
    labels = _read_groups(groups, rows)
    if isinstance(folds, str) or not (hasattr(folds, "split") or hasattr(folds, "__iter__")):
        folds = read_whole(folds, "out_of_fold: folds is", low=2)
        units, noun = (rows, "rows") if labels is None else (len(np.unique(labels)), "groups")
        if units < folds:
            raise ValueError(
                f"out_of_fold: folds={folds} needs as many {noun} at least; there are {units}."
            )
        shuffled = KFold(folds, shuffle=True, random_state=0)
        folds = shuffled if labels is None else GroupKFold(folds)
    target = np.asarray(next(iter(y.values()))) if len(y) == 1 else None
    splits = check_cv(folds).split(np.zeros((rows, 1)), target, labels)
    parts = [(_as_rows(outside, rows), _as_rows(fold, rows)) for outside, fold in splits]
    _check_parts(parts, labels, rows)
    return parts


def _as_rows(indices: Any, rows: int) -> _Rows:
    """Returns positions of rows, which may come as flags."""
    array = np.asarray(indices)
    array = np.flatnonzero(array) if array.dtype == bool else array.astype("int64")
    if not array.size or array.min() < 0 or array.max() >= rows:
        raise ValueError(
            f"out_of_fold: a fold, or the rows outside of it, must be some of the rows 0 to "
            f"{rows - 1}; received {array.size} of them"
            + (f", from {array.min()} to {array.max()}." if array.size else ".")
        )
    return array


def _read_groups(groups: Any, rows: int) -> Any:
    """Returns the number of the group of each row, or `None`."""
    if groups is None:
        return None
    array = np.asarray(groups)
    entries = array.tolist() if array.ndim == 1 else []
    # NaN and None differ from themselves, or cannot be sorted: no rows would belong together.
    missing = sum(entry is None or entry != entry for entry in entries)
    if array.shape != (rows,) or missing:
        raise ValueError(
            f"out_of_fold: groups must hold the group of each of the {rows} rows; received the "
            f"shape {array.shape}" + (f" with {missing} missing." if missing else ".")
        )
    return np.unique(array, return_inverse=True)[1]


def _check_parts(parts: list[tuple[_Rows, _Rows]], groups: Any, rows: int) -> None:
    """Checks that each row is in one fold, and that nothing of a fold is outside of it."""
    counts = np.bincount(np.concatenate([fold for _, fold in parts]), minlength=rows)
    if (counts != 1).any():
        raise ValueError(
            "out_of_fold: each row must be in exactly one fold; "
            f"{int((counts == 0).sum())} rows are in none and {int((counts > 1).sum())} in "
            "several. Folds of time series, of which the first rows are never predicted, do not "
            "fit: predict those rows by hand."
        )
    for number, (outside, fold) in enumerate(parts):
        if np.isin(outside, fold).any():
            raise ValueError(
                f"out_of_fold: fold {number}: {int(np.isin(fold, outside).sum())} of its rows are "
                "also outside of it, so that the network would be trained on what it predicts."
            )
        if groups is not None and (both := np.intersect1d(groups[outside], groups[fold])).size:
            raise ValueError(
                f"out_of_fold: fold {number}: {both.size} groups have rows inside and outside of "
                "it. Take a splitter that reads groups, such as GroupKFold."
            )
