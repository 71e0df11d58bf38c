"""Weights that follow validation metrics."""

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
from keras_mtl.balancers._solvers import softmax


@keras.saving.register_keras_serializable(package="keras_mtl")
class ValidationDriven(LossBalancer):
    """Moves weight, after each epoch, to the tasks that fall short in validation.

    With `m_i` the metric of task i and `r_i` its target, or its best value so far, the shortfall

        (1)  s_i = (r_i - m_i) / |r_i|      or (m_i - r_i) / |r_i| when smaller is better

    is limited to the range from -1 to 1 and moves the weights

        (2)  v_i <- v_i exp(eta s_i)        w_i = K (1 - mu) v_i / sum_j v_j + mu

    The sum `sum_i w_i L_i` is minimized. Choose it to hold every task at a target, or without
    targets at its best value, when another task's progress would push it back. Not the right
    choice with a small validation set, whose noise it follows, or when training takes a few
    epochs only. In a way, the metric has been trained on: report the result on other data.

    Weights sum to K and are at least mu; they are 1 until the first epoch has ended. A metric
    that is not finite leaves the v of its task unchanged.

    Guide:
        Choose it when: the aim is a validation metric for each task
        Not when: there is little validation data
        Source: this package

    Args:
        metric: The log key to read after each epoch: a key in which `{task}` stands for the name
            of the task, or a dict from task to key. Defaults to `"val_{task}_auc"`. The metrics of
            columns are read when the task's `log_columns` names the columns (as
            `val_assays_auc_<column>`).
        mode: `"max"` if a larger metric is better, `"min"` if a smaller one is: for all tasks, or
            a dict by task name. Defaults to `"max"`.
        target: The value that each task should reach: a number for all tasks, K numbers, or a dict
            by task name. Defaults to `None`: the best value of the task so far.
        learning_rate: eta, above 0. Defaults to `1.0`.
        minimum: mu, the least weight of a task, from 0 to 1. Defaults to `0.05`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number or mode is out of range, or `metric` names no task; in `fit`,
            before training, if a key will not be logged.

    Example:
        >>> balancer = ValidationDriven(target={"click": 0.8, "buy": 0.8})
        >>> balancer.bind(["click", "buy"])
        >>> balancer.build(2)
        >>> balancer.end_epoch({"val_click_auc": 0.8, "val_buy_auc": 0.6})
        >>> [round(float(weight), 3) for weight in balancer.task_weights()]
        [0.882, 1.118]

    Reference: none for the whole method. The update is the multiplicative one of Freund & Schapire
    (1997), "A Decision-Theoretic Generalization of On-Line Learning", with the shortfall for the
    loss.
    """

    def __init__(
        self,
        *,
        metric: str | Mapping[str, str] = "val_{task}_auc",
        mode: str | Mapping[str, str] = "max",
        target: float | Sequence[float] | Mapping[str, float] | None = None,
        learning_rate: float = 1.0,
        minimum: float = 0.05,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_metric(metric)
        _check_mode(mode)
        check_numbers("target", 0.0 if target is None else target, -float("inf"))
        check_numbers("learning_rate", learning_rate, 1e-6)
        check_numbers("minimum", minimum, 0, 1)
        self.metric, self.mode, self._target = metric, mode, target
        self.learning_rate, self.minimum = float(learning_rate), float(minimum)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        # `per_task` takes numbers: a mode is the sign that makes the larger metric the better one.
        modes: Any = self.mode
        if isinstance(modes, Mapping):
            modes = {task: 1.0 if mode == "max" else -1.0 for task, mode in modes.items()}
        else:
            modes = 1.0 if modes == "max" else -1.0
        self._signs = self.per_task("mode", modes)
        if self._target is not None:
            self._targets = self.per_task("target", self._target)
        self.logits = self.add_state("logits", (num_tasks,))
        self.best = self.add_state("best", (num_tasks,))
        self.known = self.add_state("known", (num_tasks,))

    def task_weights(self) -> Tensor:
        """Returns the weights `[K]` of the current epoch."""
        logits = self.logits.value
        return (
            ops.cast(ops.size(logits), "float32") * (1 - self.minimum) * softmax(logits)
            + self.minimum
        )

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`."""
        return ops.sum(ops.stop_gradient(self.task_weights()) * losses)

    def log_keys(self) -> dict[str, str]:
        """Returns the log key of each task's metric."""
        return log_keys(self, self.metric)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Reads the metrics of the epoch and moves the weights; without logs nothing changes.

        Args:
            logs: The values that Keras logged for the epoch, by key. Defaults to `None`.

        Raises:
            ValueError: If a key is missing from the logs.
        """
        if logs is None or not self.built:
            return
        metric = ops.convert_to_tensor(read_logs(self, self.metric, logs), "float32")
        finite, known = ops.isfinite(metric), self.known.value > 0
        signs = ops.convert_to_tensor(self._signs, "float32")
        metric = ops.where(finite, signs * metric, self.best.value)
        best = ops.where(known, ops.maximum(metric, self.best.value), metric)
        goal = (
            best
            if self._target is None
            else signs * ops.convert_to_tensor(self._targets, "float32")
        )
        # (1), then (2) with logits for log v, centered, since only differences matter.
        shortfall = ops.clip((goal - metric) / ops.maximum(ops.abs(goal), 1e-8), -1, 1)
        logits = self.logits.value + self.learning_rate * ops.where(finite, shortfall, 0.0)
        self.logits.assign(logits - ops.mean(logits))
        self.best.assign(ops.where(finite, best, self.best.value))
        self.known.assign(ops.where(finite, 1.0, self.known.value))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "metric": plain(self.metric),
            "mode": plain(self.mode),
            "target": plain(self._target),
            "learning_rate": self.learning_rate,
            "minimum": self.minimum,
        }


def _check_mode(mode: str | Mapping[str, str]) -> None:
    """Checks that each mode is `"max"` or `"min"`."""
    for value in mode.values() if isinstance(mode, Mapping) else (mode,):
        if value not in ("max", "min"):
            raise ValueError(f"mode must be 'max' or 'min'; received {value!r}.")
