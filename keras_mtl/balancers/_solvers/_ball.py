"""The direction in a ball that serves the worst-served vector best, by an interior-point method."""

from collections.abc import Callable
from typing import NamedTuple

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._ball_exchange import exchange_in_ball
from keras_mtl.balancers._solvers._gramian import TINY
from keras_mtl.balancers._solvers._interior_point import (
    MAX_STEPS,
    NEWTON_RIDGE,
    centering_target,
    keep_positive,
    step_to_boundary,
)
from keras_mtl.balancers._solvers._sizes import size_of
from keras_mtl.balancers._solvers._symmetric import has_many_tasks


def best_worst_case(cosines: Tensor, shares: Tensor, center: Tensor, radius: float) -> Tensor:
    """Returns the direction in a ball that serves the worst-served vector best.

    Solves `max_d min_i <g_i, d>` subject to `|d - g_0| <= radius` for `g_0` of length 1, in
    the coefficients x of `d = g_0 + radius * sum_i x_i g_i / |g_i|`.

    Args:
        cosines: Cosines `[K, K]` between the vectors, float64.
        shares: Shortest length over each length `[K]`; 0 where a vector takes no part. Keep the
            other shares above 1e-7 or so.
        center: Inner products `[K]` of unit vectors with `g_0`; 1 where a vector takes no part.
        radius: Radius of the ball, above 0.

    Returns:
        Coefficients x `[K]`, float64; `x^T C x` is 1 where the solution lies on the sphere.

    Example:
        >>> x = best_worst_case(
        ...     ops.eye(2, dtype="float64"), ops.ones(2, "float64"), ops.zeros(2, "float64"), 1.0
        ... )
        >>> [round(float(value), 4) for value in x]  # halfway between two orthogonal vectors
        [0.7071, 0.7071]
    """
    many = has_many_tasks(cosines)
    if many is False:
        return _interior_point(cosines, shares, center, radius)
    x, solved = exchange_in_ball(cosines, shares, center, radius, many)
    return ops.cond(solved, lambda: x, lambda: _interior_point(cosines, shares, center, radius))


def _interior_point(cosines: Tensor, shares: Tensor, center: Tensor, radius: float) -> Tensor:
    ball = _Ball(cosines, shares, radius)
    start = (0, *ball.start(center))
    return ops.while_loop(ball.is_unsolved, ball.improve, start)[1]


class _Point(NamedTuple):
    """Holds the variables of `_Ball` at one step, or their changes."""

    x: Tensor  # coefficients [K]
    image: Tensor  # C x [K]
    slack: Tensor  # s [K], of the vectors
    ball_slack: Tensor  # q, a scalar
    multiplier: Tensor  # u [K], of the slacks
    ball_multiplier: Tensor  # y, a scalar


class _Ball:
    """Solves `best_worst_case` by Mehrotra's interior-point method.

    With a the shares, b the center and c the radius, it maximizes the level t that is guaranteed,
    subject to

        s_i = b_i + c (C x)_i - a_i t >= 0      (each vector is served at the level)
        q = (1 - x^T C x) / 2 >= 0              (the direction is in the ball)

    With u the multipliers of s, and y that of q (divided by c), the solution satisfies

        (1)  y x = u
        (2)  a^T u = 1
        (3)  u s = 0
        (4)  y q = 0
    """

    def __init__(self, cosines: Tensor, shares: Tensor, radius: float) -> None:
        self.cosines, self.shares, self.radius = cosines, shares, radius
        self.eye = ops.eye(size_of(shares), dtype="float64")

    def start(self, center: Tensor) -> _Point:
        """Returns the center of the ball, at a level below that of all vectors."""
        room = (center - 0.5 * (1 + self.radius)) / ops.maximum(self.shares, TINY)
        level = ops.min(ops.where(self.shares > 0, room, float("inf")))
        multiplier = ops.ones_like(self.shares) / ops.sum(self.shares)  # condition (2) holds
        slack, ball_slack = center - self.shares * level, ops.full((), 0.5, "float64")
        x = ops.zeros_like(multiplier)
        # All products are equally large at first. With another ball_multiplier, a ball that
        # hardly limits would be left at once.
        ball_multiplier = ops.mean(multiplier * slack) / ball_slack
        return _Point(x, x, slack, ball_slack, multiplier, ball_multiplier)

    def is_unsolved(self, step: Tensor, *state: Tensor) -> Tensor:
        """Returns whether condition (1) or the products of (3) and (4) are still off."""
        now = _Point(*state)
        residual = now.ball_multiplier * now.x - now.multiplier
        residual = ops.sum(residual * ops.matmul(self.cosines, residual))
        duality_gap = _duality_gap(now)
        # Rounding may keep the residual up where vectors are equal; with so small a gap the
        # method ends in any case.
        unsolved = ops.logical_or(
            duality_gap > 1e-9, ops.logical_and(residual > 1e-18, duality_gap > 1e-12)
        )
        return ops.logical_and(step < MAX_STEPS, unsolved)

    def improve(self, step: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Takes one predictor, one corrector with the same matrix, and the step itself."""
        now = _Point(*state)
        newton = self._newton(now)
        products = now.multiplier * now.slack
        ball_product = now.ball_multiplier * now.ball_slack
        duality_gap = _duality_gap(now)
        # Predictor: aims at products of 0.
        change, bend, length = newton(-products, -ball_product)
        ball_slack = _moved_ball_slack(now, change, bend, length)
        gap_after_predictor = _duality_gap(
            now._replace(
                slack=now.slack + length * change.slack,
                ball_slack=ball_slack,
                multiplier=now.multiplier + length * change.multiplier,
                ball_multiplier=now.ball_multiplier + length * change.ball_multiplier,
            )
        )
        # Corrector: aims at the target, less the second-order terms that Newton leaves out. That
        # of the ball has two: the product of the changes, and the curvature of the ball.
        target = centering_target(duality_gap, gap_after_predictor, 2, 1e-3)
        change, bend, length = newton(
            target - products - change.multiplier * change.slack,
            target
            - ball_product
            - change.ball_multiplier * change.ball_slack
            + now.ball_multiplier * bend,
        )
        ball_slack = _moved_ball_slack(now, change, bend, length)
        multiplier = keep_positive(now.multiplier + length * change.multiplier)
        slack = keep_positive(now.slack + length * change.slack)
        ball_slack = keep_positive(ball_slack)
        # The length of the hull's best point: next to 0 where gradients cancel out.
        ball_multiplier = ops.maximum(now.ball_multiplier + length * change.ball_multiplier, 1e-10)
        x, image = now.x + length * change.x, now.image + length * change.image
        return step + 1, *_Point(x, image, slack, ball_slack, multiplier, ball_multiplier)

    def _newton(self, now: _Point) -> Callable[[Tensor, Tensor], tuple[_Point, Tensor, Tensor]]:
        """Returns the function that computes Newton's step for given changes of the products.

        Its equations are (1) to (4) to first order, with d for a change:

            y dx + x dy - du = u - y x      a^T du = 1 - a^T u
            u ds + s du = d(us)             y dq + q dy = d(yq)
            ds = c C dx - a dt              dq = -x^T C dx

        Without du, dy, ds and dq, for the vector of multipliers over slacks `p = u / s`:

            (y I + y/q x (C x)^T + c diag(p) C) dx = u - y x - d(yq)/q x + d(us)/s + p a dt

        The inverse of this matrix is computed once for predictor and corrector. dx is linear in
        the level's change dt, which follows from (2).
        """
        x, image, slack, ball_slack, multiplier, ball_multiplier = now
        shares, radius = self.shares, self.radius
        pull = multiplier / slack
        matrix = (
            ops.outer(ball_multiplier / ball_slack * x, image)
            + self.cosines * (radius * pull)[:, None]
        )
        ridge = ball_multiplier + NEWTON_RIDGE * ops.max(ops.abs(matrix))
        inverse = ops.inv(matrix + ridge * self.eye)
        # The changes of x, C x and s per unit of the level.
        x_by_level = ops.matmul(inverse, pull * shares)
        image_by_level = ops.matmul(self.cosines, x_by_level)
        slack_by_level = radius * image_by_level - shares
        residual, missing = multiplier - ball_multiplier * x, 1 - ops.sum(shares * multiplier)
        level_scale = 1 / ops.sum(shares * pull * slack_by_level)
        # Long steps are safe near the solution only: far from it they end at the ball's edge.
        fraction = ops.clip(1 - _duality_gap(now) * (size_of(slack, "float64") + 1), 0.85, 0.995)

        def newton(products: Tensor, ball_product: Tensor) -> tuple[_Point, Tensor, Tensor]:
            """Returns the changes, the curvature of the ball slack, and the step's length."""
            dx = ops.matmul(inverse, residual - ball_product / ball_slack * x + products / slack)
            dimage = ops.matmul(self.cosines, dx)
            # The level's change, by which condition (2) holds after a full step.
            level = (
                ops.sum(shares * (products / slack - pull * radius * dimage)) - missing
            ) * level_scale
            dx, dimage = dx + x_by_level * level, dimage + image_by_level * level
            dslack = radius * dimage - shares * level
            dball_slack, bend = -ops.sum(image * dx), 0.5 * ops.sum(dx * dimage)
            dmultiplier = products / slack - pull * dslack
            dball_multiplier = (ball_product - ball_multiplier * dball_slack) / ball_slack
            length = step_to_boundary(
                fraction,
                (slack, dslack),
                (multiplier, dmultiplier),
                (ball_multiplier[None], dball_multiplier[None]),
            )[0]
            in_ball = _step_in_ball(fraction, ball_slack, dball_slack, bend)
            change = _Point(dx, dimage, dslack, dball_slack, dmultiplier, dball_multiplier)
            return change, bend, ops.minimum(length, in_ball)

        return newton


def _duality_gap(point: _Point) -> Tensor:
    """Returns the mean product of a slack and its multiplier, that of the ball included."""
    products = ops.sum(point.multiplier * point.slack)
    ball_product = point.ball_multiplier * point.ball_slack
    return (products + ball_product) / (size_of(point.multiplier, "float64") + 1)


def _moved_ball_slack(now: _Point, change: _Point, bend: Tensor, length: Tensor) -> Tensor:
    """Returns the slack of the ball after a step; exactly, for it is quadratic in the step."""
    return now.ball_slack + length * change.ball_slack - length * length * bend


def _step_in_ball(fraction: Tensor, slack: Tensor, slope: Tensor, bend: Tensor) -> Tensor:
    """Returns the step after which the ball slack has lost a fraction of its value.

    That is the positive root of `slack + step * slope - step^2 * bend = (1 - fraction) * slack`,
    in the form that loses no digits; 1 if there is no such step.
    """
    root = ops.sqrt(ops.maximum(slope * slope + 4 * bend * fraction * slack, 0)) - slope
    return ops.where(root > 0, 2 * fraction * slack / ops.maximum(root, TINY), 1.0)


__all__ = ["best_worst_case"]
