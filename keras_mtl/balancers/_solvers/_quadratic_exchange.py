"""Convex quadratics of many variables over the nonnegative numbers, by exchange and by descent."""

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._free_system import solve_free
from keras_mtl.balancers._solvers._gramian import TINY

_TOLERANCE = 1e-10
_PATIENCE = 3
_MAX_DESCENTS = 40
_MAX_HALVINGS = 30


def minimum_of_many(matrix: Tensor, linear: Tensor, ridge: float | Tensor) -> tuple[Tensor, Tensor]:
    """Minimizes `u^T M u / 2 + b^T u` over `u >= 0` for many variables.

    All wrong variables are exchanged at once, as for few. Each set costs a factor of its free rows
    alone, and the sets soon become small where many gradients conflict. As soon as three exchanges
    in turn leave as many wrong ones as before, which may be the beginning of a circle, a method
    goes on from there that lowers the value in every step.

    Args:
        matrix: M, positive semi-definite, `[K, K]`, float64, with a diagonal near 1.
        linear: b, `[K]`, float64, with entries up to 1.
        ridge: A number that makes M definite on the diagonal. The result is corrected for it.

    Returns:
        u `[K]`, and whether it is the minimum: descent is slow where many gradients are dependent.

    Example:
        >>> matrix = ops.array([[1.0, 0.5], [0.5, 1.0]], "float64")
        >>> u, solved = minimum_of_many(matrix, ops.array([-1.0, 0.25], "float64"), 1e-15)
        >>> [round(float(value), 4) for value in u]
        [1.0, 0.0]
    """
    quadratic = _Quadratic(matrix, linear, ridge)

    def is_unsolved(free: Tensor, u: Tensor, wrong: Tensor, *patience: Tensor) -> Tensor:
        return ops.logical_and(ops.any(wrong), patience[1] > 0)

    def exchange(
        free: Tensor, u: Tensor, wrong: Tensor, fewest: Tensor, patience: Tensor
    ) -> tuple[Tensor, ...]:
        free = ops.logical_xor(free, wrong)
        u = quadratic.among(free)
        wrong = quadratic.wrong(free, u)
        count = ops.sum(ops.cast(wrong, "int32"))
        patience = ops.where(count < fewest, _PATIENCE, patience - 1)
        return free, u, wrong, ops.minimum(count, fewest), patience

    # At the start no variable is free: u = 0, and the gradient there is b.
    wrong = linear < -_TOLERANCE
    start = (ops.zeros_like(wrong), ops.zeros_like(linear), wrong, 2**30, _PATIENCE)
    _, u, wrong, _, _ = ops.while_loop(is_unsolved, exchange, start)
    finite = ops.all(ops.isfinite(u))
    u, unsolved = ops.where(finite, ops.maximum(u, 0), 0), ops.any(wrong)

    def descend() -> tuple[Tensor, Tensor]:
        # With the ridge, every set has one minimum, also where gradients are dependent.
        ridges = ops.diag(ops.zeros_like(linear) + ridge)
        return _Quadratic(matrix + ridges, linear, 0.0).descend(u)

    u, solved = ops.cond(unsolved, descend, lambda: (u, finite))
    return u, solved


class _Quadratic:
    """Holds the problem of `minimum_of_many`, and a method for it that always ends.

    Args:
        matrix: M, `[K, K]`.
        linear: b, `[K]`.
        ridge: What is added to the diagonal of M.
    """

    def __init__(self, matrix: Tensor, linear: Tensor, ridge: float | Tensor) -> None:
        self.matrix, self.linear, self.ridge = matrix, linear, ridge

    def gradient(self, u: Tensor) -> Tensor:
        """Returns `M u + b`, `[K]`."""
        return ops.matmul(u[None, :], self.matrix)[0] + self.linear

    def among(self, free: Tensor) -> Tensor:
        """Returns the minimum `[K]` over free variables of any sign; the others are 0."""
        return solve_free(self.matrix, -self.linear[None, :], free, self.ridge)[0]

    def wrong(self, free: Tensor, u: Tensor) -> Tensor:
        """Returns which variables are free and below 0, or at 0 with a value that growth lowers."""
        largest = ops.maximum(ops.max(ops.abs(u)), 1)
        return ops.where(free, u / largest, self.gradient(u)) < -_TOLERANCE

    def descend(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Returns u after steps that lower the value from u >= 0, and whether it is the minimum.

        Each goes along the gradient first, which frees variables, and then toward the minimum among
        those above 0 (More & Toraldo, "On the solution of large quadratic programming problems with
        bound constraints", SIAM Journal on Optimization 1, 1991).
        """

        def is_unsolved(step: Tensor, u: Tensor, solved: Tensor) -> Tensor:
            return ops.logical_and(step < _MAX_DESCENTS, ops.logical_not(solved))

        def improve(step: Tensor, u: Tensor, solved: Tensor) -> tuple[Tensor, ...]:
            gradient = self.gradient(u)
            down = ops.where(ops.logical_or(u > 0, gradient < 0), -gradient, 0)
            bend = ops.sum(down * ops.matmul(down[None, :], self.matrix)[0])
            u = self.search(u, down * (ops.sum(down * down) / ops.maximum(bend, TINY)))
            free = u > 0
            target = self.among(free)
            wrong = ops.logical_or(self.wrong(free, target), ops.logical_not(ops.isfinite(target)))
            solved = ops.logical_not(ops.any(wrong))
            target = ops.where(ops.isfinite(target), target, u)
            return step + 1, self.search(u, target - u), solved

        _, u, solved = ops.while_loop(is_unsolved, improve, (0, u, ops.any(u < 0)))
        return u, solved

    def search(self, u: Tensor, change: Tensor) -> Tensor:
        """Returns u after the longest part of a change that lowers the value, not below 0.

        Parts are 1, 1/2, 1/4 and so on. The value has to fall by a ten-thousandth of what the
        gradient promises.
        """
        gradient = self.gradient(u)

        def value_below(candidate: Tensor) -> Tensor:
            """Returns by how much the value falls, exactly: it is quadratic."""
            moved = candidate - u
            middle = 0.5 * ops.matmul(moved[None, :], self.matrix)[0] + gradient
            return -ops.sum(moved * middle)

        def falls_too_little(step: Tensor, part: Tensor, candidate: Tensor) -> Tensor:
            promised = -1e-4 * ops.sum(gradient * (candidate - u))
            return ops.logical_and(step < _MAX_HALVINGS, value_below(candidate) < promised)

        def halve(step: Tensor, part: Tensor, candidate: Tensor) -> tuple[Tensor, ...]:
            return step + 1, part / 2, ops.maximum(u + change * (part / 2), 0)

        whole = ops.full((), 1.0, "float64")
        start = (0, whole, ops.maximum(u + change, 0))
        return ops.while_loop(falls_too_little, halve, start)[2]


__all__ = ["minimum_of_many"]
