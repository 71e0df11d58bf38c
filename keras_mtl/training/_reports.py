"""What a model tells of its steps: logs, task weights, and tasks that broke."""

import contextlib
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import keras

from keras_mtl._keras_internals import PreparedModel
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.balancers import Balancer
from keras_mtl.training._log_keys import check_log_keys, of_training_alone
from keras_mtl.training._quiet_tracing import quiet_tracing
from keras_mtl.training._train_step import TrainStep

CURE = "Look for NaN in its labels and inputs, or lower the learning rate."


class ReportingModel(PreparedModel):
    """Reports what the steps of a model have counted.

    A subclass sets `_tasks`, `_step` and `balancer` in its constructor.
    """

    _tasks: tuple[Task, ...]
    _step: TrainStep
    balancer: Balancer
    every: int
    _evaluating: bool = False

    @property
    def _loss_names(self) -> list[str]:
        return [name for task in self._tasks for name in task.loss_names]

    @contextlib.contextmanager
    def _evaluation(self) -> Iterator[None]:
        """Leaves task weights out of the logs inside, and warns of broken tasks at the end."""
        self._evaluating = True
        try:
            yield
        finally:
            self._evaluating = False
        broken = self._step.broken_batches()
        listed = listing(dict(zip(self._loss_names, broken, strict=True)), "batch(es)")
        if listed:
            warnings.warn(
                f"evaluation: the loss was not finite for {listed}, and is logged as infinite. "
                + CURE,
                stacklevel=4,
            )

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Checks that no layer has been frozen or thawed since `compile`, and takes one step."""
        self.check_trained()
        return super().train_on_batch(*args, **kwargs)

    def check_trained(self) -> None:
        """Checks that no layer has been frozen or thawed since `compile`."""
        self._step.trained.check(self.trainable_variables)
        self._step.flags.refresh()

    @property
    def active_tasks(self) -> list[str]:
        """The names of the tasks that may take part in steps: see `set_active`."""
        return self._step.flags.active_tasks

    def set_active(
        self,
        tasks: Collection[str] | None = None,
        variables: Collection[keras.Variable] | None = None,
    ) -> None:
        """Sets which tasks take part in the steps to come, and which variables are trained.

        For callbacks, between two steps. It needs neither `compile` nor a new optimizer. What
        is left out rests to the last bit, with all that the optimizer keeps for it and with moving
        averages; balancers see the other tasks as if there were no more. Gradients of variables
        that rest are 0 in every statistic at the shared variables. The next step computes weights,
        whatever `every` is. The flags are saved with the model.

        A forward pass still goes through everything, in the mode of training: to save its time
        as well, set `layer.trainable = False` and call `compile` again.

        Args:
            tasks: The names of the tasks that take part; `None` changes nothing.
            variables: The variables of the network that are trained; `None` changes nothing.

        Raises:
            ValueError: If a task is none of the model, or a variable none of the network.
        """
        self._step.flags.set(tasks, variables)
        self._step.state.make_due(self.every)

    def check_logs(self, *, validated: bool, validation_freq: Any) -> None:
        """Checks that the logs will have what the balancer reads.

        Args:
            validated: Whether `fit` has validation data.
            validation_freq: As in `fit`.
        """
        keys = self.balancer.log_keys()
        if keys and self.compiled:
            check_log_keys(
                type(self.balancer).__name__,
                keys,
                logged=self.get_metrics_result(),
                weights=of_training_alone(self),
                validated=validated,
                validation_freq=validation_freq,
            )

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predicts as Keras does, without a warning of the two shapes that batches have."""
        with quiet_tracing():
            return super().predict(*args, **kwargs)

    def get_metrics_result(self) -> dict[str, Tensor]:
        """Returns the logs of the epoch so far; weights and factors are of training alone."""
        logs = self._step.mark(dict(super().get_metrics_result()), self._evaluating)
        if self._evaluating:
            for key in of_training_alone(self):
                del logs[key]
        return logs

    def mark_epoch(self, logs: dict[str, float]) -> None:
        """Marks in the logs of an epoch the tasks that had no finite step; changes the logs."""
        self._step.logs.mark_epoch(logs)

    @property
    def task_weights(self) -> dict[str, float]:
        """The weights that the balancer found last, by task, or by `<task>/<column>`."""
        weights = self._step.state.task_weights.numpy()
        return dict(zip(self._loss_names, map(float, weights), strict=True))

    @property
    def left_out(self) -> dict[str, int]:
        """In how many steps of this epoch each task was left out as not finite."""
        counts = self._step.state.left_out.numpy()
        return dict(zip(self._loss_names, map(int, counts), strict=True))

    def reset_left_out(self) -> None:
        """Starts to count anew in how many steps each task was left out."""
        self._step.state.left_out.assign(keras.ops.zeros_like(self._step.state.left_out))


def listing(counts: Mapping[str, int], unit: str) -> str:
    """Returns the names that have a count, with it: `'a' in 2 step(s), 'b' in 1 step(s)`."""
    return ", ".join(f"{name!r} in {count} {unit}" for name, count in counts.items() if count)
