"""Independent component alignment."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers, plain
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    mean_where_zero,
    nan_where_not_finite,
    spectrum,
)

Scale = Literal["min", "median", "rmse"]


@keras.saving.register_keras_serializable(package="keras_mtl")
class AlignedMTL(GramianBalancer):
    """Replaces the gradients by the nearest ones that are orthogonal and equally long.

    With J the gradients `[K, n]`, `G = J J^T = V Lambda V^T` and w the preference,

        d = J^T B w        B = sqrt(s) V Lambda^(-1/2) V^T

    where s is an eigenvalue of G. By default s is the smallest one, and J^T B is then J^T with
    all its singular values reduced to the smallest. Neither conflict nor dominance is left.
    Choose it when gradients have different lengths and w should say how much each task counts.
    It is not the right choice with many tasks or with nearly dependent gradients: the smallest
    singular value then makes d very short, and the directions that belong to it are mostly noise
    (`scale="rmse"` at least keeps the length).

    Weights may be negative, and a loss may rise where gradients conflict. Directions in which
    the gradients differ by no more than rounding errors are left out, as eigenvalues of zero are.
    A task with gradient zero takes no part; its weight is the mean of the other tasks' weights.

    Guide:
        Choose it when: conflicts and differences in length of the gradients should be removed
        Not when: gradients are nearly linearly dependent
        Source: Senushkin et al. 2023, arXiv:2305.19000

    Args:
        scale: s: `"min"`, `"median"` (the lower one) or `"rmse"` (the mean) of the eigenvalues
            that are not zero. Defaults to `"min"`.
        preference: w: one number for all tasks, K numbers, or a dict by task name; divided by
            their sum. Defaults to `1.0`: each task counts for 1/K.
        name: Optional name of the layer.

    Raises:
        ValueError: If `scale` is none of these, or a preference is not above 0.

    Example:
        >>> weights = AlignedMTL().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [0.5591, 0.4083]

    Reference: Senushkin et al. (2023), arXiv:2305.19000. The scales `"median"` and `"rmse"` come
    from the authors' code, which sums over tasks instead of taking the mean. At a representation
    this rule is their Aligned-MTL-UB. `Task.weight` is no preference here: alignment undoes it.
    """

    def __init__(
        self,
        *,
        scale: Scale = "min",
        preference: float | Sequence[float] | Mapping[str, float] = 1.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if scale not in get_args(Scale):
            raise ValueError(f"scale must be one of {get_args(Scale)}; got {scale!r}.")
        check_numbers("preference", preference, 1e-6)
        self.scale, self._preference = scale, preference

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.preference = self.per_task("preference", self._preference)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the aligned direction for a Gramian `[K, K]`."""
        preference = ops.cast(self.select_active(self.preference), "float64")
        preference = preference / ops.sum(preference)
        # The rows of `eigenvectors` are the columns of V; eigenvalues not `kept` are rounding.
        eigenvalues, eigenvectors, kept = spectrum(gramian)
        ratios = self._scale_of(eigenvalues, kept) / ops.where(kept, eigenvalues, 1)
        # B w = V (sqrt(s / lambda) * (V^T w)), from right to left.
        coordinates = ops.sqrt(ops.where(kept, ratios, 0)) * ops.matmul(eigenvectors, preference)
        weights = ops.sum(coordinates[:, None] * eigenvectors, axis=0)
        lengths = cosines_and_lengths(gramian)[1]
        return nan_where_not_finite(mean_where_zero(weights, lengths), gramian)

    def _scale_of(self, eigenvalues: Tensor, kept: Tensor) -> Tensor:
        """Computes s, a scalar, from the eigenvalues `[K]` that are kept, bool `[K]`."""
        num_kept = ops.sum(ops.cast(kept, "int32"))
        if self.scale == "rmse":
            total = ops.sum(ops.where(kept, eigenvalues, 0))
            return total / ops.cast(ops.maximum(num_kept, 1), "float64")
        ascending = ops.sort(ops.where(kept, eigenvalues, float("inf")))
        middle = ops.maximum(num_kept - 1, 0) // 2
        return ascending[0] if self.scale == "min" else ops.take(ascending, middle)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        preference = plain(self._preference)
        return {**super().get_config(), "scale": self.scale, "preference": preference}
