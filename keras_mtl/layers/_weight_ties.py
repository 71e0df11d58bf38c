"""Ties between corresponding variables of several towers."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._graph_penalty import GraphPenalty

Strength: TypeAlias = float | Sequence[Sequence[float]]
"""One number for all pairs of towers, or a symmetric matrix of them."""


@keras.saving.register_keras_serializable(package="keras_mtl")
class WeightTies(GraphPenalty):
    """Keeps corresponding variables of towers close to each other by a penalty in the loss.

    With `w_i` the entries of a variable of tower i, as a vector, the penalty is a sum over the
    variables of a tower of

    - `"squared_l2"`: `sum_{i<j} lambda_ij |w_i - w_j|^2`
    - `"l1"`: `sum_{i<j} lambda_ij |w_i - w_j|_1`
    - `"cosine"`: `sum_{i<j} lambda_ij (1 - w_i.w_j / (|w_i| |w_j|))`
    - `"trace_norm"`: `lambda |[w_1 ... w_K]|_*`, the sum of the singular values of the matrix
      of all towers' vectors, which draws these to a common subspace of low dimension.

    The layer passes its inputs on. The towers are layers that read its output, and are found by
    name. The penalty is in the logs as `<name>_penalty`.

    Args:
        branches: For each tower, the names of its layers, in corresponding order.
        distance: `"squared_l2"`, `"l1"`, `"cosine"` or `"trace_norm"`. Defaults to
            `"squared_l2"`.
        strength: `lambda`, not negative: a number, or a symmetric matrix `lambda_ij` in the
            order of the towers (not for `"trace_norm"`). Defaults to `1e-3`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Any tensor; it is returned unchanged.

    Raises:
        ValueError: If the distance is unknown, or the strength is not such a number or matrix;
            when called, if towers differ in the shapes of their variables.

    Example:
        >>> ties = WeightTies([["left"], ["right"]], strength=0.5, name="ties")
        >>> features = ties(keras.Input((3,)))
        >>> ones = keras.layers.Dense(2, kernel_initializer="ones", name="left")(features)
        >>> zeros = keras.layers.Dense(2, kernel_initializer="zeros", name="right")(features)
        >>> float(ties.penalty())  # 0.5 * 6 * 1^2
        3.0
    """

    def __init__(
        self,
        branches: Sequence[Sequence[str]],
        distance: str = "squared_l2",
        strength: Strength = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(branches, **kwargs)
        if distance not in _DISTANCES:
            raise ValueError(
                f"{self.name}: distance must be one of {[*_DISTANCES]}; received {distance!r}."
            )
        self.distance = distance
        self.strength = _read_strength(strength, len(self.branches), distance)

    def measure(self, kept: list[int], variables: list[list[keras.Variable]]) -> Tensor:
        """Computes the sum, over variables, of the distances between the towers' vectors."""
        shapes = [[tuple(v.shape) for v in tower] for tower in variables]
        if any(tower_shapes != shapes[0] for tower_shapes in shapes):
            raise ValueError(
                f"{self.name}: towers are tied weight by weight, so corresponding weights must "
                f"have equal shapes; received the shapes {shapes}."
            )
        if len(kept) < 2:
            return ops.zeros(())
        strengths = np.array(self.strength, "float32")
        if strengths.ndim:
            strengths = strengths[np.ix_(kept, kept)]
        distances = [
            _DISTANCES[self.distance](
                # One row per tower: (towers, n) for corresponding variables of n entries.
                ops.stack([ops.reshape(ops.cast(v, "float32"), (-1,)) for v in corresponding]),
                strengths,
            )
            for corresponding in zip(*variables, strict=True)
        ]
        return ops.sum(ops.stack(distances))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "distance": self.distance, "strength": self.strength}


def _read_strength(strength: Any, num_towers: int, distance: str) -> Any:
    """Checks the strength, and returns it as a number or a list of rows."""
    values = np.array(strength, "float64")
    is_matrix = values.shape == (num_towers, num_towers) and np.array_equal(values, values.T)
    if not (np.isfinite(values).all() and (values >= 0).all() and (values.ndim == 0 or is_matrix)):
        raise ValueError(
            "strength must be a number of at least 0, or a symmetric matrix of them, "
            f"{num_towers} x {num_towers}, in the order of the tasks; received {strength!r}."
        )
    if values.ndim and distance == "trace_norm":
        raise ValueError(
            "the trace norm ties all tasks at once, so strength must be one number; received "
            f"{strength!r}. Choose another distance for strengths of pairs."
        )
    return values.tolist()


def _pairs(matrix: Tensor, strengths: Any) -> tuple[Tensor, Tensor, Any]:
    """Returns the rows of both towers of each pair, `(pairs, n)`, and strengths `(pairs, 1)`.

    Args:
        matrix: One row per tower, `(towers, n)`.
        strengths: A number, or a matrix `(towers, towers)`.
    """
    first, second = np.triu_indices(matrix.shape[0], 1)
    strengths = np.broadcast_to(strengths, (matrix.shape[0],) * 2)[first, second, None]
    return ops.take(matrix, first, 0), ops.take(matrix, second, 0), strengths


def _squared_l2(matrix: Tensor, strengths: Any) -> Tensor:
    first, second, strengths = _pairs(matrix, strengths)
    return ops.sum(strengths * ops.square(first - second))


def _l1(matrix: Tensor, strengths: Any) -> Tensor:
    first, second, strengths = _pairs(matrix, strengths)
    return ops.sum(strengths * ops.abs(first - second))


def _cosine(matrix: Tensor, strengths: Any) -> Tensor:
    # The bound is for biases, which start at zero, where the norm has no gradient.
    squares = ops.sum(ops.square(matrix), -1, keepdims=True)
    first, second, strengths = _pairs(matrix * ops.rsqrt(ops.maximum(squares, 1e-12)), strengths)
    return ops.sum(strengths * (1.0 - ops.sum(first * second, -1, keepdims=True)))


def _trace_norm(matrix: Tensor, strengths: Any) -> Tensor:
    """Computes `lambda tr((M M^T)^(1/2))`, with the gradient `lambda (M M^T)^(-1/2) M`.

    The inverse root enters as a constant: the gradient through an eigenvalue problem is not
    finite where two singular values are equal.
    """
    gramian = ops.matmul(matrix, ops.transpose(matrix))
    values, vectors = ops.linalg.eigh(ops.stop_gradient(gramian))
    floor = 1e-6 * values[-1] + 1e-30
    inverse = ops.rsqrt(ops.maximum(values, floor))
    inverse_root = ops.matmul(vectors * inverse, ops.transpose(vectors))  # (M M^T)^(-1/2)
    # The trace of M M^T (M M^T)^(-1/2). With a constant inverse root its gradient is twice that
    # of the trace norm, so half of it is kept; the other half adds to the value only.
    trace = ops.sum(gramian * inverse_root)
    return strengths * 0.5 * (trace + ops.stop_gradient(trace))


_DISTANCES: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "squared_l2": _squared_l2,
    "l1": _l1,
    "cosine": _cosine,
    "trace_norm": _trace_norm,
}
