"""The best worst case in a ball for many tasks, by exchanging which of them limit it."""

import numpy as np
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._free_system import solve_free
from keras_mtl.balancers._solvers._gramian import TINY
from keras_mtl.balancers._solvers._sizes import size_of

_MAX_EXCHANGES = 40
_TOLERANCE = 1e-9


def exchange_in_ball(
    cosines: Tensor, shares: Tensor, center: Tensor, radius: float, wanted: bool | Tensor
) -> tuple[Tensor, Tensor]:
    """Solves the problem of `best_worst_case` by exchanging all wrong tasks at once.

    In its letters: those tasks whose multiplier is above 0 have no slack, and all others have the
    coefficient 0. For a set of such tasks the solution has a closed form. With `h_a = C^-1 a` and
    `h_b = C^-1 b` among the tasks of the set,

        x = (t h_a - h_b) / c      with the level t for which x^T C x = 1:
        a.h_a t^2 - 2 a.h_b t + b.h_b - c^2 = 0

    of which the larger root is the best level. A task of the set with x < 0 is wrong, and so is one
    outside of it with a slack below 0. Two to five sets are enough in practice, each with one
    factorization, where the interior-point method takes ten to twenty steps with an inverse.

    Args:
        cosines, shares, center, radius: As for `best_worst_case`.
        wanted: Whether to solve it at all.

    Returns:
        x `[K]`, and whether it is the solution; sets may go round in circles.
    """
    # The cosines come from a Gramian in float32.
    ridge = float(np.finfo("float32").eps) * ops.sqrt(size_of(shares, "float64"))
    ab = ops.stack([shares, center])  # [2, K]

    def is_unsolved(step: Tensor, free: Tensor, x: Tensor, wrong: Tensor, there: Tensor) -> Tensor:
        first_or_wrong = ops.logical_or(step == 0, ops.any(wrong))
        return ops.logical_and(wanted, ops.logical_and(first_or_wrong, step < _MAX_EXCHANGES))

    def exchange_sets(
        step: Tensor, free: Tensor, x: Tensor, wrong: Tensor, there: Tensor
    ) -> tuple[Tensor, ...]:
        free = ops.logical_xor(free, wrong)
        right = ops.where(free, ab, 0)
        h = solve_free(cosines, ab, free, ridge)  # [2, K]
        aa, ba = ops.sum(right[0] * h[0]), ops.sum(right[1] * h[0])
        bb = ops.sum(right[1] * h[1])
        inside = ba * ba - aa * (bb - radius * radius)
        level = (ba + ops.sqrt(ops.maximum(inside, 0))) / ops.maximum(aa, TINY)
        x = ops.where(free, (level * h[0] - h[1]) / radius, 0)
        slack = center + radius * ops.matmul(cosines, x[:, None])[:, 0] - shares * level
        largest = ops.maximum(ops.max(ops.abs(x)), TINY)
        wrong = ops.where(free, x / largest, slack) < -_TOLERANCE
        # Without such a level the set is not the solution, and neither is a ball that leaves the
        # level free.
        there = ops.logical_and(inside > 0, ops.sum(shares * x) > 0)
        return step + 1, free, x, wrong, there

    start = (0, shares > 0, ops.zeros_like(shares), shares < 0, ops.any(shares < 0))
    _, _, x, wrong, there = ops.while_loop(is_unsolved, exchange_sets, start)
    right_set = ops.logical_and(there, ops.logical_not(ops.any(wrong)))
    solved = ops.logical_and(right_set, ops.all(ops.isfinite(x)))
    return ops.maximum(ops.where(solved, x, 0), 0), ops.logical_and(wanted, solved)


__all__ = ["exchange_in_ball"]
