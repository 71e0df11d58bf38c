"""Weighting by homoscedastic uncertainty."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers, plain, warn_of_dominance

_CURE = (
    "Its loss is small beside the others, and weights grow as the inverse of losses: set "
    "revised=True, or take a rule whose weights are bounded, such as DWA or GO4Align."
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class Uncertainty(LossBalancer):
    """Learns a noise variance for each task, and weighs the task by its inverse.

    With `s_i = log sigma_i^2` learned together with the network, it minimizes the sum of

        L_i / (2 sigma_i^2) + log sigma_i  =  exp(-s_i) L_i / 2 + s_i / 2   (regression)
        L_i / sigma_i^2 + log sigma_i      =  exp(-s_i) L_i + s_i / 2       (classification)

    With `revised`, `log sigma_i` becomes `log(1 + sigma_i^2)`, which is never negative.

    Choose it when losses differ in scale, or change it slowly: at the best `s_i` both forms weigh
    a task by `1 / (2 L_i)`, so that the mean logarithm of the losses is minimized. Not the right
    choice with losses that may be negative (the sum has no minimum then) or that come near zero
    (their weight grows without bound).

    Weights (the derivatives with respect to the losses) begin at 1/2 or 1 and follow the losses.
    The sum itself is negative when losses are below 1/e: watch the losses of the tasks instead.
    With `revised` it stays above 0, and the weight of a loss that becomes small grows as the
    inverse root of the loss, not as its inverse. A task that holds more than 0.99 of the weight
    for an epoch is warned of by name, once. The variables `log_variance` are trained by the
    model's optimizer, but should not decay:
    `optimizer.exclude_from_weight_decay(var_names=["log_variance"])`.

    Guide:
        Choose it when: losses differ in scale or noise, or drift
        Not when: a loss may be negative
        Source: Kendall, Gal and Cipolla 2018, arXiv:1705.07115

    Args:
        regression: Whether a task has the regression form: `True`, `False`, K of them, or a dict
            by task name. Defaults to `None`: `BalancedModel` asks the tasks. Those whose labels are
            classes, or yes or no, have the classification form; all others have the regression
            form, and so have all without a model.
        revised: Whether the term that keeps variances small is `log(1 + sigma_i^2)`. Defaults
            to `False`.
        initial: The first `s_i`. Defaults to `0.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If `initial` is not finite; when the model is made, if `regression` does not
            have one value per task.

    Example:
        >>> float(Uncertainty(regression=[True, False]).scalarize([2.0, 3.0]))
        4.0

    Reference: Kendall, Gal & Cipolla (2018), arXiv:1705.07115, equations 7 and 10, where
    classification divides logits by the variance, which the second form approximates. `revised`
    is from Liebel & Koerner (2018), arXiv:1805.06334, who use the regression form throughout.
    """

    def __init__(
        self,
        *,
        regression: bool | Sequence[bool] | Mapping[str, bool] | None = None,
        revised: bool = False,
        initial: float = 0.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if regression is not None:
            check_numbers("regression", regression, 0, 1)
        check_numbers("initial", initial, -math.inf)
        self._regression = regression
        self.revised = bool(revised)
        self._initial = float(initial)
        self._warned = False

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        forms = self.per_task("regression", self._forms())
        self._factors = tuple(0.5 if form else 1.0 for form in forms)
        self.log_variance = self.add_state(
            "log_variance",
            (num_tasks,),
            keras.initializers.Constant(self._initial),
            trainable=True,
        )

    def _forms(self) -> bool | Sequence[bool] | Mapping[str, bool]:
        """Returns which tasks have the regression form, by the argument or else by the tasks."""
        if self._regression is not None:
            return self._regression
        return True if self.traits is None else [trait.regression for trait in self.traits]

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the sum of both terms over the tasks, for losses `[K]`."""
        log_variance = self.log_variance.value
        weights = self.select_active(self._factors) * ops.exp(-log_variance)
        # softplus(s) = log(1 + exp(s)) = log(1 + sigma^2).
        bound = ops.softplus(log_variance) if self.revised else 0.5 * log_variance
        return ops.sum(weights * losses + bound)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Warns of a task that holds nearly all the weight."""
        self._warned = warn_of_dominance(self, logs, _CURE, warned=self._warned)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "regression": plain(self._regression),
            "revised": self.revised,
            "initial": self._initial,
        }
