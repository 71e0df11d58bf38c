"""Dual-balancing multi-task learning."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GradientBalancer, Needs, check_numbers

_LEAST_LOSS = 1e-8


@keras.saving.register_keras_serializable(package="keras_mtl")
class DBMTL(GradientBalancer):
    """Takes gradients of log losses, averages them, and makes all as long as the longest.

    This is dual balancing (Lin et al.), not the deep Bayesian architecture
    `keras_mtl.architectures.deep_bayesian`, which others abbreviate to DBMTL too.

    At step t, with beta_t = beta / t^beta_sigma,

        y_i <- beta_t y_i + (1 - beta_t) g_i / L_i         d = sum_i (max_j |y_j| / |y_i|) y_i

    Choose it when losses differ in scale, gradients differ in length, and no task should
    dominate. It is not the right choice when losses come near 0 (the gradient of their logarithm
    grows without bound, and with it the length of all gradients) or may be negative. It is not
    the right choice either when memory is short: for beta above 0 it keeps K gradients.

    Averages begin at 0 and are not corrected for it: with beta = 0.9 the first direction is a
    tenth of its later length. The length of d is up to K times the longest average. A task whose
    average is zero adds nothing. A loss counts as 1e-8 at least. The variables of a single task
    take the gradient of its loss itself (in the paper: of its logarithm).

    Guide:
        Choose it when: losses differ in scale, and gradients in length
        Not when: losses come near 0
        Source: Lin et al. 2023, arXiv:2308.12029

    Args:
        beta: How slowly the averages change, from 0 (no averaging) to below 1. Defaults to `0.9`.
        beta_sigma: How beta falls with the number of steps of the task. Defaults to `0.0`: it
            stays the same.
        name: Optional name of the layer.

    Raises:
        ValueError: If beta is not from 0 to 0.9999999, or `beta_sigma` is negative.

    Example:
        >>> direction = DBMTL(beta=0.0).merge([[3.0, 4.0], [0.0, 1.0]], [0.5, 1.0])
        >>> [float(entry) for entry in direction]  # (6, 8), and (0, 1) times 10
        [6.0, 18.0]

    Reference: Lin et al. (2023), arXiv:2308.12029; the defaults are those of the authors' code
    in LibMTL.
    """

    needs = Needs(per_entry_state=True)

    def __init__(
        self,
        *,
        beta: float = 0.9,
        beta_sigma: float = 0.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("beta", beta, 0, 1 - 1e-7)
        check_numbers("beta_sigma", beta_sigma)
        self.beta, self.beta_sigma = float(beta), float(beta_sigma)

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        if self.beta > 0:
            self.average = self.add_state("average", (num_tasks, self.size))
            self.count = self.add_state("count", (num_tasks,))

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """Computes the direction d `[n]` for gradients `[K, n]` and losses `[K]`."""
        # `[K, n]`: the gradients of the log losses, then their averages y.
        average = gradients / ops.maximum(losses, _LEAST_LOSS)[:, None]
        if self.beta > 0:
            steps = self.count.value + 1  # t `[K]`, counted separately for each task
            beta = self.beta / steps**self.beta_sigma
            average = average + beta[:, None] * (self.average.value - average)
            self.count.assign(steps)
            self.average.assign(average)
        lengths = ops.sqrt(ops.sum(ops.square(average), axis=1))
        nonzero = lengths > 0
        factors = ops.where(nonzero, ops.max(lengths) / ops.where(nonzero, lengths, 1), 0)
        return ops.matmul(factors, average)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "beta": self.beta, "beta_sigma": self.beta_sigma}
