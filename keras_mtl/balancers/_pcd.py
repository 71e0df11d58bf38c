"""Priority-constrained descent (PCD)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import (
    GramianBalancer,
    check_main_task,
    check_numbers,
    mask_of,
    plain,
    position_of,
)
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    nan_where_not_finite,
    nonnegative_minimum,
    resolution,
    size_of,
)

_ROUNDING = 1e-6  # the rest of a zero in a float32 Gramian, in units of squared lengths


@keras.saving.register_keras_serializable(package="keras_mtl")
class PCD(GramianBalancer):
    """Follows one task as closely as possible while every other task makes the required progress.

    With `s_i = 1 / sqrt(v_i)` for the bias-corrected moving average `v_i` of `|g_i|^2`, gradients
    `h_i = s_i g_i` have a length near 1. Task 1 stands for the primary task:

        (1)  d~ = argmin |d - h_1|^2 / 2   subject to   h_j . d >= tau |h_j|^2   for all j > 1
        (2)  d = d~ |g_1| / |d~|

    Choose it when one task is the aim and the other tasks must only not be forgotten, such as
    penalties: tau takes the place of their loss weights, whatever their scale. Not the right
    choice when all tasks are equally important.

    The direction is as long as the primary gradient. It is zero when that gradient is zero, when
    no direction is left (d~ = 0), and in steps without the primary task. When no direction serves
    all other tasks, it is the primary gradient alone. Other tasks whose gradient is zero are left
    out.

    Guide:
        Choose it when: one task is the aim and the other tasks must not be forgotten
        Not when: all tasks are equally important
        Source: Varam and AlHajri 2026, arXiv:2606.29521

    Args:
        primary: The name of the primary task, or its position. Defaults to `0`: the first task.
        tau: The required share of progress, from 0 to 1: a number for all tasks, K numbers, or a
            dict by task name; the share of the primary task is not used. Defaults to `0.02`.
        beta: How slowly the moving averages follow, below 1. Defaults to `0.999`.
        name: Optional name of the layer.

    Raises:
        TypeError: If `primary` is neither a name nor a position.
        ValueError: If tau is not from 0 to 1 or beta not from 0 to 0.9999999; when the model is
            made, if there is no such task.

    Example:
        >>> weights = PCD(tau=0.02).weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [1.8481, 1.0954]

    Reference: Varam & AlHajri (2026), arXiv:2606.29521, algorithm 1 with its magnitude rescaling.
    They add 1e-8 to `v_i`, which would change the result for small gradients; here a task whose
    gradients have all been zero is left out instead. They try all sets of active constraints in
    turn.
    """

    def __init__(
        self,
        *,
        primary: int | str = 0,
        tau: float | Sequence[float] | Mapping[str, float] = 0.02,
        beta: float = 0.999,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_main_task("primary", primary)
        check_numbers("tau", tau, 0, 1)
        check_numbers("beta", beta, 0, 1 - 1e-7)
        self._primary, self._tau, self.beta = primary, tau, float(beta)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._position = position_of(self, "primary", self._primary)
        self._taus = self.per_task("tau", self._tau)
        self.square = self.add_state("square", (num_tasks,))
        self.count = self.add_state("count", (num_tasks,))

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the direction from the Gramian `[K, K]`."""
        cosines, lengths = cosines_and_lengths(gramian)
        is_primary = mask_of(self, self._position) > 0
        lengths_of_h = lengths * self._scales(lengths)
        taus = ops.cast(self.select_active(self._taus), "float64")
        primary_length = ops.sum(ops.where(is_primary, lengths_of_h, 0))
        with_primary = ops.sum(ops.where(is_primary, cosines, 0), axis=1)
        # The constraints of (1) divided by |h_j|: how far d must still move along h_j, when it
        # begins at h_1, in units of the longest h.
        unit = ops.maximum(ops.max(lengths_of_h), 1e-30)
        missing = (taus * lengths_of_h - primary_length * with_primary) / unit
        takes_part = ops.logical_and(lengths > 0, ops.logical_not(is_primary))
        missing = ops.where(takes_part, missing, -1)
        change = _least_change(cosines, missing, takes_part, resolution(gramian))
        # d~ in coefficients of the unit gradients.
        coefficients = ops.where(is_primary, primary_length / unit, change)
        square = ops.sum(coefficients * ops.matmul(cosines, coefficients))
        is_left = square > _ROUNDING * ops.square(ops.sum(ops.abs(coefficients)))
        target_length = ops.sum(ops.where(is_primary, lengths, 0))
        stretched = coefficients * target_length / ops.sqrt(ops.where(is_left, square, 1))
        coefficients = ops.where(is_left, stretched, 0)  # (2)
        return nan_where_not_finite(coefficients / ops.where(lengths > 0, lengths, 1), gramian)

    def _scales(self, lengths: Tensor) -> Tensor:
        """Updates v and returns s `[K]`, with 0 for tasks whose gradients have all been zero."""
        square = ops.cast(self.square.value, "float64")
        square = self.beta * square + (1 - self.beta) * lengths * lengths
        steps = self.count.value + 1
        self.square.assign(square)
        self.count.assign(steps)
        average = square / (1 - self.beta ** ops.cast(steps, "float64"))
        return ops.where(average > 0, 1 / ops.sqrt(ops.where(average > 0, average, 1)), 0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "primary": self._primary,
            "tau": plain(self._tau),
            "beta": self.beta,
        }


def _least_change(
    cosines: Tensor, missing: Tensor, takes_part: Tensor, ridge: float | Tensor
) -> Tensor:
    """Returns the coefficients `[K]` of the smallest change that meets the constraints, or 0.

    They are not negative: the multipliers of (1), which solve its dual program,
    `min x^T C x / 2 - missing . x`. If the constraints contradict each other it has no minimum.
    The ridge then keeps x finite, but the constraints are violated, and the result is 0.
    """
    both = ops.logical_and(takes_part[:, None], takes_part)
    matrix = ops.where(both, cosines, ops.eye(size_of(missing), dtype="float64"))
    x = nonnegative_minimum(matrix, -missing[None], ridge)[0]
    met = ops.matmul(matrix, x) - missing > -_ROUNDING * ops.max(ops.abs(missing))
    return ops.where(ops.all(met), x, 0)
