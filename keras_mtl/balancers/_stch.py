"""The smooth Tchebycheff scalarization (STCH)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers, plain
from keras_mtl.balancers._solvers import log_of, shares_of


@keras.saving.register_keras_serializable(package="keras_mtl")
class STCH(LossBalancer):
    """Minimizes a smooth maximum of the losses (smooth Tchebycheff).

        (1)  mu log sum_i exp(lambda_i (L_i - z_i) / mu)        sum_i lambda_i = 1

    A small mu trains the worst task almost alone, as `Tchebycheff` does; a large mu comes near a
    plain average. Choose it when no task may be left behind and losses have the same scale, or
    with other preferences for other trade-offs, including those on non-convex parts of the front.
    Not the right choice in this form when losses differ in scale: the largest loss then counts as
    the worst.

    With `warmup_epochs` the scale is measured first, as in the authors' code for multi-task
    learning. In that many epochs, and in one more in which the mean losses M are recorded,
    `sum_i log L_i` is minimized, and from then on

        (2)  K mu log sum_i exp(log(L_i / M_i) / mu)

    Weights are `lambda_i softmax_i`, with a sum below 1. With `warmup_epochs` they are first
    `1 / L_i`, then `K softmax_i / L_i`, for losses above 0. The loss of a task that was absent
    from the whole recording epoch is recorded when the task first takes part.

    Guide:
        Choose it when: a smooth worst case, or one point of the Pareto front, is wanted
        Not when: losses differ in scale and no reference is set
        Source: Lin et al. 2024, arXiv:2402.19078

    Args:
        mu: The smoothing, in the units of the losses (with `warmup_epochs`, in the units of their
            logarithms). Defaults to `1.0`.
        preference: lambda, above 0: a number for all tasks, K numbers, or a dict by task name;
            rescaled to sum to 1 over the tasks that take part in the step. Defaults to `1.0`: all
            tasks equally.
        reference: The ideal point z, in the units of the losses: a number for all tasks, K
            numbers, or a dict by task name. Defaults to `0.0`.
        warmup_epochs: The number of epochs before the recording, 4 in the authors' code. Defaults
            to `None`: the paper's form.
        name: Optional name of the layer.

    Raises:
        ValueError: If mu or a preference is not above 0, or `warmup_epochs` comes with a
            preference or reference, which that form does not have.

    Example:
        >>> round(float(STCH(mu=1.0).scalarize([1.0, 2.0])), 6)
        1.474077

    Reference: Lin et al. (2024), arXiv:2402.19078.
    """

    def __init__(
        self,
        *,
        mu: float = 1.0,
        preference: float | Sequence[float] | Mapping[str, float] = 1.0,
        reference: float | Sequence[float] | Mapping[str, float] = 0.0,
        warmup_epochs: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("mu", mu, 1e-6)
        check_numbers("preference", preference, 1e-6)
        check_numbers("reference", reference, -float("inf"))
        self.mu, self.warmup_epochs = float(mu), warmup_epochs
        self._preference, self._reference = preference, reference
        if warmup_epochs is not None:
            self._check_warmup(warmup_epochs)

    def _check_warmup(self, epochs: int) -> None:
        """Checks the number of epochs, and that the arguments of (1) are left at their defaults."""
        if epochs != int(epochs) or epochs < 0:
            raise ValueError(
                f"warmup_epochs must be a whole number of epochs, or None; received {epochs!r}."
            )
        if (self._preference, self._reference) != (1.0, 0.0):
            raise ValueError(
                "with warmup_epochs each loss is compared with its own mean, and there is no "
                "preference or reference; leave them out, or leave out warmup_epochs."
            )

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._lambdas = self.per_task("preference", self._preference)
        self._ideal = self.per_task("reference", self._reference)
        if self.warmup_epochs is not None:
            self.epoch = self.add_state("epoch", (), dtype="int32", task_axes=0)
            self.mean = self.add_state("mean", (num_tasks,))
            self.count = self.add_state("count", (num_tasks,))

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the smooth maximum of the losses `[K]`."""
        if self.warmup_epochs is not None:
            return self._relative_to_means(losses, self.warmup_epochs)
        lambdas = shares_of(self.select_active(self._lambdas))
        return self._smooth_max(lambdas * (losses - self.select_active(self._ideal)))  # (1)

    def _smooth_max(self, values: Tensor) -> Tensor:
        """Returns the smooth maximum of values `[K]`."""
        return self.mu * ops.logsumexp(values / self.mu)

    def _relative_to_means(self, losses: Tensor, warmup: int) -> Tensor:
        """Records the mean losses when they are due; returns the sum of logarithms, then (2)."""
        epoch, steps, mean = self.epoch.value, self.count.value, self.mean.value
        # In the recording epoch, and later for a task that was absent from all of it.
        records = ops.logical_or(ops.equal(epoch, warmup), ops.equal(steps, 0))
        records = ops.logical_and(records, epoch >= warmup)
        steps = steps + ops.cast(records, "float32")
        change = (ops.stop_gradient(losses) - mean) / ops.maximum(steps, 1)
        mean = ops.where(records, mean + change, mean)
        self.count.assign(steps)
        self.mean.assign(mean)
        logs = log_of(losses)
        balanced = ops.cast(ops.size(losses), "float32") * self._smooth_max(logs - log_of(mean))
        return ops.where(epoch <= warmup, ops.sum(logs), balanced)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Counts the epochs of the warm-up."""
        if self.built and self.warmup_epochs is not None:
            self.epoch.assign(self.epoch.value + 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "mu": self.mu,
            "preference": plain(self._preference),
            "reference": plain(self._reference),
            "warmup_epochs": self.warmup_epochs,
        }
