"""Pareto-efficient weights with a least weight for each task (PE-MTL)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers, plain
from keras_mtl.balancers._solvers import min_norm_point, resolution, size_of


@keras.saving.register_keras_serializable(package="keras_mtl")
class PEMTL(GramianBalancer):
    """Follows the shortest vector whose weights give each task at least its least weight.

        w = argmin |sum_i w_i g_i|^2    subject to    sum_i w_i = 1,  w_i >= c_i

    Choose it to train to a Pareto-efficient point and still guarantee, say, the click task a
    third of the weight. Not the right choice when no task may get worse: with c above 0 the
    vector may point against a task, unlike that of `MGDA`, which is the case c = 0.

    Weights sum to 1. A task whose gradient is zero takes all the weight that no other task needs
    to make the vector shorter. When several weights are equally good, they are spread as evenly
    as possible.

    Guide:
        Choose it when: a Pareto-efficient point and a least weight for each task are wanted
        Not when: no least weight is known
        Source: Lin et al. 2019, RecSys

    Args:
        c: The least weights: a number for all tasks, K numbers, or a dict by task name; not
            negative, with a sum of at most 1. Defaults to `0.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a least weight is not from 0 to 1, or, in `build`, if they sum to more
            than 1.

    Example:
        >>> weights = PEMTL(c=[0.0, 0.5]).weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]  # MGDA: 0.6, 0.4
        [0.5, 0.5]

    Reference: Lin et al. (2019), "A Pareto-Efficient Algorithm for Multiple Objective
    Optimization in E-Commerce Recommendation", RecSys, doi:10.1145/3298689.3346998. The minimum
    is exact; theirs solves without the bounds and then moves to the nearest weights within them.
    """

    def __init__(
        self,
        *,
        c: float | Sequence[float] | Mapping[str, float] = 0.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("c", c, high=1.0)
        self._c = c

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.c = self.per_task("c", self._c)
        if sum(self.c) > 1 + 1e-6:
            raise ValueError(
                f"{self.name}: the least weights c must sum to at most 1; received {self.c}, "
                f"which sum to {sum(self.c):g}. Lower some of them."
            )

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the shortest vector allowed from the Gramian `[K, K]`."""
        precision, ridge = gramian.dtype, resolution(gramian)
        least = ops.cast(self.select_active(self.c), "float64")
        rest = ops.maximum(1 - ops.sum(least), 0)
        # w = c + rest * v for v on the simplex. The vector is then that of the weights v among
        # the vectors rest * g_i + sum_j c_j g_j, whose Gramian is A G A^T for A = rest I + 1 c^T.
        eye = ops.eye(size_of(gramian), dtype="float64")
        mixing = rest * eye + least[None, :]  # A
        mixed = ops.matmul(ops.matmul(mixing, ops.cast(gramian, "float64")), ops.transpose(mixing))
        return ops.cast(least + rest * min_norm_point(mixed, ridge), precision)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "c": plain(self._c)}
