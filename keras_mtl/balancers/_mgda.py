"""The multiple-gradient descent algorithm (MGDA)."""

from typing import Any, Literal, get_args

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer
from keras_mtl.balancers._solvers import min_norm_point, resolution

Normalization = Literal["none", "l2", "loss", "loss+"]


@keras.saving.register_keras_serializable(package="keras_mtl")
class MGDA(GramianBalancer):
    """Follows the shortest vector in the convex hull of the gradients.

        alpha = argmin |sum_i alpha_i g_i|^2   over the simplex        d = sum_i alpha_i g_i

    The angle between the direction and each task's gradient is at most a right angle: to first
    order every loss falls, at one common rate or faster. Choose it when no task may get worse.
    Not the right choice when gradients differ much in length: the rule follows the shortest
    gradient, so a task that has converged slows all other tasks; `normalization` softens that.

    Weights are on the simplex (they sum to 1). A task whose gradient is zero takes all the weight
    and the direction is zero: the point is Pareto-stationary. Tasks with equal gradients share
    their weight equally.

    Guide:
        Choose it when: no task may get worse
        Not when: one gradient is far smaller than the rest
        Source: Sener and Koltun 2018, arXiv:1810.04650

    Args:
        normalization: The quantity that divides each gradient before the weights are computed:
            `"none"`, `"l2"` (the gradient's length), `"loss"` (the task's loss) or `"loss+"`
            (both). The weights are then applied to the undivided gradients, so only `"none"`
            guarantees that every loss falls. Defaults to `"none"`.
        name: Optional name of the layer.

    Raises:
        ValueError: If `normalization` is none of these.

    Example:
        >>> weights = MGDA().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [0.6, 0.4]

    Reference: Sener & Koltun (2018), arXiv:1810.04650; at a representation it is their MGDA-UB.
    The minimum is exact (theirs is a Frank-Wolfe iteration that stops after 250 steps).
    """

    def __init__(
        self,
        *,
        normalization: Normalization = "none",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if normalization not in get_args(Normalization):
            raise ValueError(
                f"normalization must be one of {get_args(Normalization)}; "
                f"received {normalization!r}."
            )
        self.normalization = normalization

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the shortest vector from the Gramian and losses `[K]`."""
        precision, ridge = gramian.dtype, resolution(gramian)
        gramian = ops.cast(gramian, "float64")
        if self.normalization in ("l2", "loss+"):
            gramian = _divide(gramian, ops.sqrt(ops.maximum(ops.diagonal(gramian), 0)))
        if self.normalization in ("loss", "loss+"):
            # A task with loss zero is solved: divided by a tiny size, its gradient becomes the
            # longest, so its weight goes to zero.
            sizes = ops.abs(ops.cast(losses, "float64"))
            gramian = _divide(gramian, ops.maximum(sizes, 1e-9 * ops.max(sizes)))
        return ops.cast(min_norm_point(gramian, ridge), precision)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "normalization": self.normalization}


def _divide(gramian: Tensor, sizes: Tensor) -> Tensor:
    """Returns the Gramian of gradients divided by their sizes `[K]`; a size of 0 counts as 1."""
    inverse = 1 / ops.where(sizes > 0, sizes, 1)
    return gramian * inverse[:, None] * inverse[None, :]
