"""Dynamic task prioritization."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import (
    LossBalancer,
    check_metric,
    check_numbers,
    log_keys,
    plain,
    read_logs,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class DTP(LossBalancer):
    """Gives most weight to the tasks whose metric is worst (dynamic task prioritization).

    With `kappa_i` a metric of task i from 0 to 1, larger is better, smoothed over epochs,

        w_i = -(1 - kappa_i)^gamma_i log kappa_i
        kappa_i <- alpha metric_i + (1 - alpha) kappa_i

    and the rule minimizes `sum_i w_i L_i`. Choose it when metrics tell better than losses which
    task is hard: accuracies and areas under curves whose meanings can be compared. It is not the
    right choice with metrics that have no upper bound, or when a task is hard because its labels
    are noise: that task then keeps the largest weight for good.

    Weights are 1 until the first epoch has ended. Afterwards they follow the formula, are far
    smaller (0.01 at 0.9) and do not sum to K: with an optimizer that depends on the scale, set
    `BalancedModel(..., rescale_weights=True)`. A metric below 1e-6 counts as 1e-6. A metric that
    is not finite leaves its task's weight as it was.

    Guide:
        Choose it when: hard tasks (by a metric from 0 to 1) should come first
        Not when: metrics are noisy
        Source: Guo et al. 2018, ECCV

    Args:
        gamma: How strongly tasks that do well lose weight: one number for all tasks, K numbers,
            or a dict by task name. Defaults to `1.0`.
        metric: The key to read from the logs of an epoch, in which `{task}` stands for the name
            of the task, or a dict from task name to key. Defaults to `"val_{task}_auc"`. Columns
            of a task are read if its `log_columns` names them (as `val_assays_auc_<column>`).
        alpha: Weight of an epoch's metric in the smoothed one, from 0 to 1. Defaults to `1.0`:
            no smoothing.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is out of range or `metric` names no task; in `fit`, before
            training, if a key will not be logged; at the end of an epoch, if a metric is not from
            0 to 1.

    Example:
        >>> balancer = DTP(gamma=1.0)
        >>> balancer.bind(["click", "buy"])
        >>> balancer.build(2)
        >>> balancer.end_epoch({"val_click_auc": 0.9, "val_buy_auc": 0.5})
        >>> [round(float(weight), 4) for weight in balancer.task_weights()]
        [0.0105, 0.3466]

    Reference: Guo et al. (2018), "Dynamic Task Prioritization for Multitask Learning", ECCV: the
    paper's weights of tasks. There the metric is that of training batches, smoothed over them;
    here it is that of an epoch. The paper's weights of examples within a task (a focal loss) are
    left to the loss of the task.
    """

    def __init__(
        self,
        *,
        gamma: float | Sequence[float] | Mapping[str, float] = 1.0,
        metric: str | Mapping[str, str] = "val_{task}_auc",
        alpha: float = 1.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("gamma", gamma)
        check_numbers("alpha", alpha, 0, 1)
        check_metric(metric)
        self.metric, self.alpha = metric, float(alpha)
        self._gamma = gamma

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._gammas = self.per_task("gamma", self._gamma)
        self.kappa = self.add_state("kappa", (num_tasks,))
        self.known = self.add_state("known", (num_tasks,))

    def task_weights(self) -> Tensor:
        """Returns the weights `[K]` of the current epoch."""
        kappa = ops.clip(self.kappa.value, 1e-6, 1.0)
        # A power with base 0 and exponent 0 is 1, as it should be.
        weights = -ops.power(1 - kappa, self.select_active(self._gammas)) * ops.log(kappa)
        return ops.where(self.known.value > 0, weights, 1.0)

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`."""
        return ops.sum(ops.stop_gradient(self.task_weights()) * losses)

    def log_keys(self) -> dict[str, str]:
        """Returns the log key of each task's metric."""
        return log_keys(self, self.metric)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Reads the metrics of the epoch; without logs nothing changes.

        Raises:
            ValueError: If the logs do not hold a key, or a metric is not from 0 to 1.
        """
        if logs is None or not self.built:
            return
        values = read_logs(self, self.metric, logs)
        for task, value in zip(self.task_names or (), values, strict=True):
            if value < 0 or value > 1:
                raise ValueError(
                    f"{self.name}: a metric must be from 0 to 1; that of task {task!r} is "
                    f"{value:g}. Name another in metric=, such as an accuracy or AUC."
                )
        metric = ops.convert_to_tensor(values, "float32")
        finite, known = ops.isfinite(metric), self.known.value
        # The first metric of a task replaces kappa: there is no earlier value to smooth with.
        alpha = ops.where(known > 0, self.alpha, ops.ones_like(known))
        kappa = alpha * metric + (1 - alpha) * self.kappa.value
        self.kappa.assign(ops.where(finite, kappa, self.kappa.value))
        self.known.assign(ops.where(finite, 1.0, known))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {
            **super().get_config(),
            "gamma": plain(self._gamma),
            "metric": plain(self.metric),
            "alpha": self.alpha,
        }
