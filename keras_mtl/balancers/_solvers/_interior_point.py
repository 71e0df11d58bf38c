"""The steps that primal-dual interior-point methods have in common.

Such a method keeps each slack and its multiplier above 0 and takes Newton's steps toward the
point at which their products are 0. Mehrotra's method takes two linear solves with the same
matrix per step: a predictor that aims at products of 0, and a corrector that aims at products as
small as the predictor's success allows and makes up for its second-order error. See Nocedal &
Wright, Numerical Optimization (2006), algorithm 16.4 and section 19.3.
"""

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._gramian import TINY

MAX_STEPS = 40
"""A bound on the steps, which is reached by problems that rounding makes unsolvable."""

NEWTON_RIDGE = 1e-13
"""Ridge of Newton's matrix. It only keeps an exact zero off the pivots."""


def step_to_boundary(fraction: float | Tensor, *pairs: tuple[Tensor, Tensor]) -> Tensor:
    """Returns the longest step up to 1 that keeps all values above 0, with a margin.

    The step goes at most a `fraction` of the way to the first sign change.

    Args:
        fraction: A number below 1.
        pairs: Values above 0 and their changes; the last axis is that of the variables.

    Returns:
        The length of the step, with a last axis of 1.

    Example:
        >>> step = step_to_boundary(0.5, (ops.array([2.0, 1.0]), ops.array([-4.0, 3.0])))
        >>> float(step[0])
        0.25
    """
    # A full step takes a value v to v (1 - fall): below 0 for falls above 1.
    falls = ops.concatenate([-change / value for value, change in pairs], axis=-1)
    steepest_fall = ops.max(falls, axis=-1, keepdims=True)
    return ops.where(steepest_fall > fraction, fraction / ops.maximum(steepest_fall, TINY), 1.0)


def centering_target(
    gap: Tensor, gap_after_predictor: Tensor, power: int, least_part: float = 0.0
) -> Tensor:
    """Returns Mehrotra's target for the products of slacks and multipliers.

    It is `sigma * gap` with `sigma = (gap_after_predictor / gap)^power`: next to 0 where the
    predictor closed most of the gap.

    Args:
        gap: Mean product of a slack and its multiplier before the predictor's step.
        gap_after_predictor: The same after that step.
        power: The power; 3 in Mehrotra's method.
        least_part: The smallest sigma. Defaults to `0.0`.
    """
    return ops.clip((gap_after_predictor / gap) ** power, least_part, 1) * gap


def keep_positive(value: Tensor) -> Tensor:
    """Keeps a slack or multiplier above 0 also where it underflows."""
    return ops.maximum(value, TINY)


__all__ = ["MAX_STEPS", "NEWTON_RIDGE", "centering_target", "keep_positive", "step_to_boundary"]
