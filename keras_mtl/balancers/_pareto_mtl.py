"""Pareto multi-task learning."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers, plain
from keras_mtl.balancers._solvers import count, larger, min_norm_point, resolution

_LEAST_RIDGE = 1e-9  # there are more vectors than dimensions: their Gramian is singular


@keras.saving.register_keras_serializable(package="keras_mtl")
class ParetoMTL(GramianBalancer):
    """Goes to a Pareto-optimal point in the part of the front that belongs to one preference.

    Unit vectors `u_1 .. u_M` cut the space of losses into parts: that of `u_k` holds the loss
    vectors with a smaller angle to it than to any other, so `G_j = (u_j - u_k) . L <= 0` for all
    j. Of the losses and of the constraints that are violated, the shortest vector is followed:

        min |sum_i lambda_i g_i + sum_j beta_j grad G_j|^2   over the simplex of both,  G_j > 0
        alpha_i = lambda_i + sum_j beta_j (u_ji - u_ki)      d = sum_i alpha_i g_i

    and in a first phase, until no constraint is violated, of the violated constraints alone.
    Choose it to spread models over the front, one for each `index` of the same preferences. Not
    the right choice for one exact trade-off (see EPO), or where losses are not of one scale.

    Unlike those of EPO, preferences are directions of the losses themselves: with (3, 1) the
    first loss ends up the larger. Weights of a point that is feasible are MGDA's, on the simplex;
    elsewhere some may be negative, and the losses of those tasks may rise.

    Args:
        preferences: M vectors, one number from 0 a task or dicts by task name, of any length.
        index: Which of them to follow, from 0.
        initial_epochs: How many epochs the first phase lasts at most. Defaults to `2`.
        name: Optional name of the layer.

    Raises:
        ValueError: If there is no such preference or it is negative, or `initial_epochs` is; when
            the model is made, if there is not one number a task.

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
        self._vectors = tuple(zip(*rows, strict=True))
        self.epoch = self.add_state("epoch", (), dtype="int32", task_axes=0)
        self.feasible = self.add_state("feasible", (), dtype="int32", task_axes=0)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Weights `[K]` of the shortest vector, for a Gramian `[K, K]` and losses `[K]`."""
        ridge = larger(resolution(gramian), _LEAST_RIDGE)
        rows = self._vectors_among(ops.cast(losses, "float64"))
        among = ops.matmul(ops.matmul(rows, ops.cast(gramian, "float64")), ops.transpose(rows))
        return ops.cast(ops.matmul(min_norm_point(among, ridge), rows), gramian.dtype)

    def _vectors_among(self, losses: Tensor) -> Tensor:
        """Those of which the shortest combination is wanted, in gradients: `[K + M, K]`."""
        vectors = ops.cast(self.present(self._vectors), "float64")  # [K, M]
        lengths = ops.sqrt(ops.sum(ops.square(vectors), axis=0))
        vectors = ops.transpose(vectors / ops.where(lengths > 0, lengths, 1))
        normals = vectors - vectors[self.index]
        violated = ops.matmul(normals, losses) > 1e-6 * ops.max(ops.abs(losses))
        found = ops.logical_or(self.feasible.value > 0, ops.logical_not(ops.any(violated)))
        self.feasible.assign(found)
        over = ops.logical_or(found, self.epoch.value >= self.initial_epochs)
        gradients = ops.eye(count(losses), dtype="float64")
        # What is not to be combined gives way to the middle of what is: the hull stays the same.
        active = ops.cast(violated, "float64")[:, None]
        middle = ops.sum(active * normals, axis=0) / ops.maximum(ops.sum(active), 1)
        middle = ops.where(over, ops.mean(gradients, axis=0), middle)
        gradients = ops.where(over, gradients, middle)
        return ops.concatenate([gradients, ops.where(violated[:, None], normals, middle)])

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Counts the epochs of the first phase."""
        if self.built:
            self.epoch.assign(self.epoch.value + 1)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "preferences": [plain(preference) for preference in self._preferences],
            "index": self.index,
            "initial_epochs": self.initial_epochs,
        }
