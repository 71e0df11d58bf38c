"""Matrices of monitors: an image and three numbers in the place of one curve per pair."""

import io
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.callbacks._monitoring._json_lines import Record

_FIELDS = {
    "cosine": "cosines",
    "magnitude": "magnitude_similarities",
    "affinity": "marginal",
    "relatedness": "fisher",
}


def read_matrices(record: Record) -> dict[str, FloatArray]:
    """Returns the matrices `[K, K]` of a record with a known number, by prefix."""
    matrices = {
        prefix: np.array(record[field], np.float64)
        for prefix, field in _FIELDS.items()
        if field in record
    }
    return {prefix: matrix for prefix, matrix in matrices.items() if len(_pairs(matrix))}


def describe_pairs(matrix: FloatArray) -> dict[str, float]:
    """Returns mean, minimum and share below 0 of the pairs of different tasks."""
    pairs = _pairs(matrix)
    return {
        "mean": float(pairs.mean()),
        "min": float(pairs.min()),
        "share_below_0": float((pairs < 0).mean()),
    }


def draw_matrix(matrix: FloatArray, tasks: list[str], title: str) -> tuple[bytes, tuple[int, int]]:
    """Returns a matrix as a PNG, with its width and height in dots."""
    # Matplotlib is slow to load, and few tasks need no image.
    from matplotlib.figure import Figure

    from keras_mtl.analysis.figures._drawing._heat import draw_heat

    figure: Any = Figure(figsize=(8, 7), dpi=100, layout="constrained")
    axes = figure.subplots()
    draw_heat(axes, matrix, tasks, tasks, ignore_diagonal=True)
    axes.set_title(title)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue(), (800, 700)


def _pairs(matrix: FloatArray) -> FloatArray:
    # A symmetric matrix has each pair twice, which changes none of the three numbers.
    pairs = matrix[~np.eye(len(matrix), dtype=bool)]
    known: FloatArray = pairs[np.isfinite(pairs)]
    return known
