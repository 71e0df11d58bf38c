"""The curvature of the losses along a step."""

from typing import Any

from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers


def step_curvature(losses_before: Any, losses_after: Any, expected_changes: Any) -> FloatArray:
    """Computes the curvature of each loss L along the real step from the variables v to v'.

        curvature = 2 [L(v') - L(v) - grad L(v) . (v' - v)]

    It is (v' - v)' H (v' - v) with the Hessian H, to second order: the change of the loss that its
    gradient did not announce. For a quadratic loss and SGD it is lr^2 g'Hg exactly.

    Choose it with the cosines of `gramian_statistics`: conflict, unequal lengths and a high
    curvature together are what makes conflict harmful, and the bounding measure is compared with
    it. Under Adam v' - v is the step that was taken, not lr times the gradient. It costs one more
    forward pass on the same batch, with the same dropout. Do not choose it for steps so small that
    the difference of two losses is rounding.

    Args:
        losses_before: L(v) of each task, any shape. NaN for an absent task.
        losses_after: L(v') on the same rows, of the same shape.
        expected_changes: grad L(v) . (v' - v), of the same shape.

    Returns:
        The curvatures, of the same shape, in the unit of the losses.

    Raises:
        TypeError: If an entry is no number.
        ValueError: If shapes differ.

    Example:
        >>> step_curvature([10.0, 3.0], [9.5, 2.0], [-1.0, -1.0])
        array([1., 0.])

    Reference:
        Yu et al. 2020, arXiv:2001.06782, where it is the curvature of the sum of the losses along
        its gradient.
    """
    before = read_numbers(losses_before, "losses_before")
    after = read_numbers(losses_after, "losses_after")
    changes = read_numbers(expected_changes, "expected_changes")
    if not before.shape == after.shape == changes.shape:
        raise ValueError(
            f"losses_before has shape {before.shape}, losses_after {after.shape} and "
            f"expected_changes {changes.shape}; expected one shape."
        )
    return 2 * (after - before - changes)
