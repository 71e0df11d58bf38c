"""Multi-task learning as a bargaining game (Nash-MTL)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    fair_point,
    mean_where_zero,
    nan_where_not_finite,
    resolution,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class NashMTL(GramianBalancer):
    """Follows the direction on which the tasks would agree: proportional fairness.

        (1)  d = sum_i alpha_i g_i      alpha_i > 0      G alpha = 1 / alpha   (entry by entry)

    This d maximizes `sum_i log(d . g_i)` over the directions of a given length. Every loss falls,
    and multiplying a loss by a constant changes nothing but the length of d. Choose it when
    losses differ in scale and no task may be left behind. Not the right choice when gradients are
    mostly noise: a short gradient has as large a say as a long one.

    As in the authors' code, the rule divides the Gramian by its Frobenius norm, so that
    `|d|^2 = K |G|`, and then scales the weights down until `|d|` is at most `max_norm`. As long
    as gradients are longer than that, every step has the same length. The argument that other
    packages call `update_weights_every` is `BalancedModel(..., every=n)` here.

    A task whose gradient is zero is left out; its weight is the mean of the other tasks' weights.
    At a Pareto-stationary point (gradients that cancel out) no weights solve the equation: they
    are then large, near 1e3 for a float32 Gramian, and d is almost zero.

    Guide:
        Choose it when: the scale of a task's loss should not count
        Not when: gradients are nearly linearly dependent
        Source: Navon et al. 2022, arXiv:2202.01017

    Args:
        max_norm: The greatest length of `d`, in the units of the gradients; `None` for no limit.
            Defaults to `1.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If `max_norm` is neither `None` nor above 0.

    Example:
        >>> gramian = [[18.0, -22.0], [-22.0, 38.0]]
        >>> [round(float(weight), 4) for weight in NashMTL().weigh(gramian, [1.0, 1.0])]
        [0.4182, 0.2878]

    Reference: Navon et al. (2022), arXiv:2202.01017. The equation is solved by Newton's method,
    and for two tasks in closed form: `alpha_i = 1 / (|g_i| sqrt(1 + cos))`. It needs no warm
    start; the authors solve a sequence of convex programs on the host, stopped after 20.
    """

    def __init__(
        self, *, max_norm: float | None = 1.0, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        if max_norm is not None:
            check_numbers("max_norm", max_norm, low=1e-30)
        self.max_norm = max_norm

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the bargained direction from the Gramian `[K, K]`."""
        num_tasks, ridge = gramian.shape[0], resolution(gramian)
        cosines, lengths = cosines_and_lengths(gramian)
        takes_part = lengths > 0
        longest = ops.max(lengths)
        relative = ops.where(takes_part, lengths / ops.where(longest > 0, longest, 1), 1)
        # (1) in coefficients of the unit gradients, x_i = alpha_i |g_i|: C x = 1 / x.
        if num_tasks == 2:
            coefficient = 1 / ops.sqrt(ops.maximum(1 + cosines[0, 1], ridge))
            x = ops.stack([coefficient, coefficient])
        else:
            x = fair_point(cosines, ops.zeros_like(lengths), 1.0, ridge)
        x = ops.where(takes_part, x, 0)
        active = ops.where(takes_part, relative, 0)
        # alpha of the divided Gramian is sqrt(|G|) times that of G. Relative to the longest:
        products = active[:, None] * cosines * active[None, :]
        scale = ops.sqrt(ops.sqrt(ops.sum(ops.square(products))))
        if self.max_norm is not None:
            norm = ops.sqrt(ops.maximum(ops.sum(x * ops.matmul(cosines, x)), 0))
            length = longest * scale * norm  # |d|
            scale = scale * ops.minimum(1, self.max_norm / ops.where(length > 0, length, 1))
        return nan_where_not_finite(mean_where_zero(scale * x / relative, lengths), gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "max_norm": self.max_norm}
