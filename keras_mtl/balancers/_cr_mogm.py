"""Moving averages of the weights of another balancer."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, GramianWrapper, check_numbers


@keras.saving.register_keras_serializable(package="keras_mtl")
class CRMOGM(GramianWrapper):
    """Smooths the weights of another Gramian balancer over the steps.

    With `lambda^_t` the weights that the other balancer returns at step t,

        lambda_t = alpha lambda_{t-1} + (1 - alpha) lambda^_t

    Weights from one batch depend on the noise of that batch, and so do its gradients. Together
    they make the direction biased. An average over many batches hardly depends on that noise.
    Choose it around MGDA, CAGrad, PCGrad and similar rules when batches are small. It is not the
    right choice when the guarantee of each single step matters: averaged weights do not keep it.

    The first weights of a task are those of its first step, so that the weights keep the scale
    of the other balancer. A task that was absent continues from its last weights.

    Guide:
        Choose it when: the weights of another rule should be smoothed, since batches are small
        Not when: weights should follow the gradients at once
        Source: Zhou et al. 2022, NeurIPS

    Args:
        balancer: The balancer to smooth.
        alpha: The part of the previous weights, from 0 (the other balancer's weights as they are)
            to 1 (its first weights forever). Defaults to `0.9`.
        name: Optional name of the layer.

    Raises:
        TypeError: If `balancer` is no Gramian balancer, or returns two weights per task.
        ValueError: If alpha is not from 0 to 1.

    Example:
        >>> from keras_mtl.balancers import MGDA
        >>> balancer = CRMOGM(MGDA(), alpha=0.5)
        >>> _ = balancer.weigh([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
        >>> weights = balancer.weigh([[1.0, 0.0], [0.0, 3.0]], [1.0, 1.0])
        >>> [round(float(weight), 3) for weight in weights]  # between (1/2, 1/2) and (3/4, 1/4)
        [0.625, 0.375]

    Reference: Zhou et al. (NeurIPS 2022), "On the Convergence of Stochastic Multi-Objective
    Gradient Manipulation and Beyond". There alpha may grow as the learning rate falls.
    """

    def __init__(
        self,
        balancer: GramianBalancer,
        *,
        alpha: float = 0.9,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(balancer, name=name, **kwargs)
        if balancer.needs.inner_steps:
            raise TypeError(
                "CRMOGM smooths one weight per task, and "
                f"{type(balancer).__name__} gives two; it averages its own."
            )
        check_numbers("alpha", alpha, 0, 1)
        self.alpha = float(alpha)

    def build(self, num_tasks: int) -> None:
        """Creates the state of both balancers for `num_tasks` tasks."""
        super().build(num_tasks)
        self.smooth = self.add_state("smooth", (num_tasks,))
        self.seen = self.add_state("seen", (num_tasks,))

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Returns the smoothed weights `[K]` for a Gramian `[K, K]` and losses `[K]`."""
        weights = self.wrapped_weights(gramian, losses)
        previous = ops.cast(self.smooth.value, weights.dtype)
        previous = ops.where(self.seen.value > 0, previous, weights)
        smooth = self.alpha * previous + (1 - self.alpha) * weights
        self.smooth.assign(smooth)
        self.seen.assign(ops.ones_like(self.seen.value))
        return smooth

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "alpha": self.alpha}
