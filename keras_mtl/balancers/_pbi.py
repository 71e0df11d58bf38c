"""Penalty-based boundary intersection (PBI)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers, plain
from keras_mtl.balancers._solvers import length

_ON_THE_RAY = 1e-6  # float32 cannot resolve a smaller angle


@keras.saving.register_keras_serializable(package="keras_mtl")
class PBI(LossBalancer):
    """Moves the losses down a ray of preference, and penalizes their distance from it.

    With `u = lambda / |lambda|`, the direction of the ray, it minimizes

        d_1 + theta d_2        d_1 = (L - z)^T u        d_2 = |L - z - d_1 u|

    Choose it to bring the losses into a given ratio `lambda_i : lambda_j`; several values of
    lambda give an evenly spaced picture of the front. Not the right choice when a ratio of losses
    means nothing: a larger theta gives tasks below the ray negative weights, that is, it makes
    them worse on purpose. `STCH` never does.

    Weights are `u + theta (L - z - d_1 u) / d_2`, of length `sqrt(1 + theta^2)`, and of either
    sign. On the ray itself (up to 1e-6 of the distance to z) they are u.

    Guide:
        Choose it when: one trade-off is wanted, on a Pareto front of any shape
        Not when: losses differ in scale
        Source: Zhang and Li 2007, IEEE Transactions on Evolutionary Computation 11

    Args:
        theta: The penalty. Defaults to `5.0`.
        preference: lambda, above 0: a number for all tasks, K numbers, or a dict by task name.
            Defaults to `1.0`: equal losses.
        reference: The ideal point z, where the ray begins, in the units of the losses: a number
            for all tasks, K numbers, or a dict by task name. Defaults to `0.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If theta is negative, a preference is not above 0 or a number is not finite;
            when the model is made, if there is not one number per task.

    Example:
        >>> round(float(PBI(theta=5.0).scalarize([3.0, 1.0])), 4)  # 4 / sqrt(2) + 5 sqrt(2)
        9.8995

    Reference: Zhang & Li (2007), "MOEA/D", IEEE Transactions on Evolutionary Computation 11,
    where theta is 5; its form for minimization.
    """

    def __init__(
        self,
        *,
        theta: float = 5.0,
        preference: float | Sequence[float] | Mapping[str, float] = 1.0,
        reference: float | Sequence[float] | Mapping[str, float] = 0.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("theta", theta)
        check_numbers("preference", preference, 1e-6)
        check_numbers("reference", reference, -float("inf"))
        self.theta = float(theta)
        self._preference, self._reference = preference, reference

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._lambdas = self.per_task("preference", self._preference)
        self._ideal = self.per_task("reference", self._reference)

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the distance along the ray plus the penalized one from it, for losses `[K]`."""
        lambdas = self.select_active(self._lambdas)
        ray = lambdas / length(lambdas)
        shifted = losses - self.select_active(self._ideal)
        along = ops.sum(shifted * ray)  # d_1
        aside = length(shifted - along * ray)  # d_2
        # On the ray, d_2 is nothing but rounding, and its derivative has no meaning.
        return along + self.theta * ops.where(aside > _ON_THE_RAY * length(shifted), aside, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "theta": self.theta,
            "preference": plain(self._preference),
            "reference": plain(self._reference),
        }
