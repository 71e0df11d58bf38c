"""Impartial multi-task learning: the balance of losses (IMTL-L)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers


@keras.saving.register_keras_serializable(package="keras_mtl")
class IMTLL(LossBalancer):
    """Learns a scale for each loss that brings every scaled loss to 1 (IMTL-L).

    With `s_i` learned together with the network, it minimizes

        sum_i  exp(s_i) L_i - s_i

    The best `s_i` makes every `exp(s_i) L_i` equal to 1. Choose it for the same purpose as
    `Uncertainty` when nothing should be assumed about the kind of loss: it is twice the regression
    form of `Uncertainty`, with `s_i` in place of minus the log variance. Not the right choice with
    losses that may be zero or negative (the sum has no minimum then), or when training is too
    short for the scales to be learned.

    The weights `exp(s_i)` begin at 1 and follow the inverse of the losses. The variables
    `log_scale` are trained by the model's optimizer, but should not decay:
    `optimizer.exclude_from_weight_decay(var_names=["log_scale"])`.

    Guide:
        Choose it when: losses differ in scale, and the scale changes during training
        Not when: a loss may be negative
        Source: Liu et al. 2021, ICLR (OpenReview IMPnRXEWpvr)

    Args:
        initial: The first `s_i`. Defaults to `0.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If `initial` is not from -30 to 30.

    Example:
        >>> float(IMTLL().scalarize([2.0, 3.0]))
        5.0

    Reference: Liu et al. (2021), "Towards Impartial Multi-Task Learning", ICLR,
    https://openreview.net/forum?id=IMPnRXEWpvr. There it trains the task-specific variables, with
    IMTL-G for the shared ones; here it weighs the losses for both.
    """

    def __init__(self, *, initial: float = 0.0, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("initial", initial, -30, 30)
        self._initial = float(initial)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        constant = keras.initializers.Constant(self._initial)
        self.log_scale = self.add_state("log_scale", (num_tasks,), constant, trainable=True)

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the sum of the scaled losses minus their log scales, for losses `[K]`."""
        log_scale = self.log_scale.value
        return ops.sum(ops.exp(log_scale) * losses - log_scale)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "initial": self._initial}
