"""Pareto multi-task learning (Pareto MTL)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers, plain
from keras_mtl.balancers._solvers import larger, min_norm_point, resolution, size_of

_LEAST_RIDGE = 1e-9  # more vectors than dimensions: their Gramian is singular


@keras.saving.register_keras_serializable(package="keras_mtl")
class ParetoMTL(GramianBalancer):
    """Goes to a Pareto-optimal point in the part of the front that belongs to one preference.

    Unit vectors `u_1 .. u_M` divide the space of losses into parts. The part of `u_k` holds the
    loss vectors whose angle to `u_k` is smaller than to any other of the vectors:

        (1)  G_j = (u_j - u_k) . L <= 0   for all j

    The rule follows the shortest vector in the convex hull of the gradients of the losses and of
    the violated constraints, those with `G_j > 0`:

        (2)  min |sum_i lambda_i g_i + sum_j beta_j grad G_j|^2   over the simplex of both
        (3)  alpha_i = lambda_i + sum_j beta_j (u_ji - u_ki)      d = sum_i alpha_i g_i

    In a first phase, until no constraint is violated, it takes the violated constraints alone.
    Choose it to spread models over the front, one for each `index` of the same preferences. Not
    the right choice for one exact trade-off (see EPO), or when losses differ in scale.

    Unlike those of EPO, preferences are directions of the losses themselves: with (3, 1) the
    first loss ends up the larger. At a feasible point the weights are MGDA's, on the simplex;
    elsewhere some may be negative, and the losses of those tasks may rise.

    Guide:
        Choose it when: several models should be spread over the Pareto front
        Not when: one model is wanted
        Source: Lin et al. 2019, arXiv:1912.12854

    Args:
        preferences: M vectors of any length, with one number per task from 0 on, or dicts by task
            name.
        index: The position of the preference to follow, from 0.
        initial_epochs: The largest number of epochs of the first phase. Defaults to `2`.
        name: Optional name of the layer.

    Raises:
        ValueError: If there is no such preference or it is negative, or `initial_epochs` is
            negative; when the model is made, if there is not one number per task.

    Example:
        >>> balancer = ParetoMTL(preferences=[[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], index=1)
        >>> gramian = [[1.0, 0.0], [0.0, 1.0]]
        >>> [float(weight) for weight in balancer.weigh(gramian, [1.0, 1.0])]  # feasible
        [0.5, 0.5]

    Reference: Lin et al. (2019), arXiv:1912.12854. Their code for multi-task learning rescales
    the weights of the second phase to `sum_i |alpha_i| = K`. The minimum here is exact.
    """

    def __init__(
        self,
        *,
        preferences: Sequence[Sequence[float] | Mapping[str, float]],
        index: int,
        initial_epochs: int = 2,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        for preference in preferences:
            check_numbers("preferences", preference)
        if index != int(index) or not 0 <= index < len(preferences):
            raise ValueError(
                f"index must be a position from 0 to {len(preferences) - 1}, that of one of the "
                f"preferences; received {index!r}."
            )
        if initial_epochs != int(initial_epochs) or initial_epochs < 0:
            raise ValueError(f"initial_epochs must be a whole number; received {initial_epochs!r}.")
        self._preferences = [plain(preference) for preference in preferences]
        self.index, self.initial_epochs = int(index), int(initial_epochs)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        rows = [self.per_task("preferences", preference) for preference in self._preferences]
        self._vectors = tuple(zip(*rows, strict=True))  # [K][M]: one entry per task
        self.epoch = self.add_state("epoch", (), dtype="int32", task_axes=0)
        self.feasible = self.add_state("feasible", (), dtype="int32", task_axes=0)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the shortest vector from the Gramian and losses `[K]`."""
        ridge = larger(resolution(gramian), _LEAST_RIDGE)
        hull = self._hull(ops.cast(losses, "float64"))
        products = ops.matmul(ops.matmul(hull, ops.cast(gramian, "float64")), ops.transpose(hull))
        # (2), then (3): lambda and beta times the rows.
        return ops.cast(ops.matmul(min_norm_point(products, ridge), hull), gramian.dtype)

    def _hull(self, losses: Tensor) -> Tensor:
        """Returns the vectors that (2) combines, in coefficients of the gradients `[K + M, K]`."""
        vectors = ops.cast(self.select_active(self._vectors), "float64")  # [K, M]
        lengths = ops.sqrt(ops.sum(ops.square(vectors), axis=0))
        vectors = ops.transpose(vectors / ops.where(lengths > 0, lengths, 1))  # [M, K]
        normals = vectors - vectors[self.index]
        violated = ops.matmul(normals, losses) > 1e-6 * ops.max(ops.abs(losses))  # (1)
        feasible = ops.logical_or(self.feasible.value > 0, ops.logical_not(ops.any(violated)))
        self.feasible.assign(feasible)
        second_phase = ops.logical_or(feasible, self.epoch.value >= self.initial_epochs)
        gradients = ops.eye(size_of(losses), dtype="float64")
        # The number of rows is fixed: a row that is not to be combined is replaced by the mean of
        # the rows that are, which leaves their hull unchanged.
        included = ops.cast(violated, "float64")[:, None]
        middle = ops.sum(included * normals, axis=0) / ops.maximum(ops.sum(included), 1)
        middle = ops.where(second_phase, ops.mean(gradients, axis=0), middle)
        gradients = ops.where(second_phase, gradients, middle)
        return ops.concatenate([gradients, ops.where(violated[:, None], normals, middle)])

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Counts the epochs of the first phase."""
        if self.built:
            self.epoch.assign(self.epoch.value + 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "preferences": [plain(preference) for preference in self._preferences],
            "index": self.index,
            "initial_epochs": self.initial_epochs,
        }
