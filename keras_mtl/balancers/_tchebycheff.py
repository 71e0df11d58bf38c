"""The Tchebycheff scalarization: the weighted maximum."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers, plain
from keras_mtl.balancers._solvers import shares_of


@keras.saving.register_keras_serializable(package="keras_mtl")
class Tchebycheff(LossBalancer):
    """Minimizes the worst task: the largest weighted distance to an ideal point.

        max_i  lambda_i |L_i - z_i|        sum_i lambda_i = 1

    With other preferences lambda it reaches other Pareto-optimal solutions, including those on
    non-convex parts of the front, which no weighted sum reaches; at such a solution all weighted
    distances are equal. Choose it when no task may be left behind. Not the right choice when
    training should be smooth or quick: a step trains one task alone. `STCH` is its smooth form.

    The weight of the worst task is its lambda, that of all other tasks is 0; equally bad tasks
    share it. A loss below its `z_i` is made larger: set `reference` below the losses
    that can be reached.

    Guide:
        Choose it when: only the worst task counts
        Not when: many tasks matter at once
        Source: Miettinen 1999, Nonlinear Multiobjective Optimization

    Args:
        preference: lambda, above 0: a number for all tasks, K numbers, or a dict by task name;
            rescaled to sum to 1 over the tasks that take part in the step. Defaults to `1.0`: all
            tasks equally.
        reference: The ideal point z, in the units of the losses: a number for all tasks, K
            numbers, or a dict by task name. Defaults to `0.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a preference is not above 0 or a number is not finite; when the model is
            made, if there is not one number per task.

    Example:
        >>> float(Tchebycheff(preference=[3.0, 1.0]).scalarize([1.0, 2.0]))
        0.75

    Reference: Miettinen, Nonlinear Multiobjective Optimization (1999), in the notation of Lin et
    al. (2024), arXiv:2402.19078.
    """

    def __init__(
        self,
        *,
        preference: float | Sequence[float] | Mapping[str, float] = 1.0,
        reference: float | Sequence[float] | Mapping[str, float] = 0.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("preference", preference, 1e-6)
        check_numbers("reference", reference, -float("inf"))
        self._preference, self._reference = preference, reference

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._lambdas = self.per_task("preference", self._preference)
        self._ideal = self.per_task("reference", self._reference)

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the largest weighted distance of the losses `[K]`."""
        lambdas = shares_of(self.select_active(self._lambdas))
        return ops.max(lambdas * ops.abs(losses - self.select_active(self._ideal)))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "preference": plain(self._preference),
            "reference": plain(self._reference),
        }
