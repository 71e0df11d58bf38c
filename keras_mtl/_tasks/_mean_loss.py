"""The loss of a task as a metric: the mean over the valid labels of all batches."""

from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._tasks._task_loss import TaskLoss
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class MeanLoss(keras.metrics.Metric):
    """Averages a task's unweighted loss over the valid labels of all batches.

    Keras's own `<task>_loss` averages the batches, so that a short last batch, or a batch with
    few labels, counts as much as a full one.

    Args:
        loss: The `TaskLoss` of the task.
        name: Name in the logs. Defaults to `"mean_loss"`.

    Example:
        >>> metric = MeanLoss(TaskLoss(keras.losses.MeanSquaredError()))
        >>> metric.update_state(ops.array([1.0, 0.0]), ops.array([[3.0], [0.0]]))
        >>> float(metric.result())
        2.0
    """

    def __init__(self, loss: TaskLoss, name: str = "mean_loss") -> None:
        super().__init__(name=name)
        set_direction(self, "down")
        self.loss = loss
        # Totals and counts [2, columns]; a task without columns has one.
        self.sums = self.add_variable((2, max(1, loss.num_columns)), "zeros", name="sums")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the valid labels of a batch."""
        sums = ops.stack(self.loss.total_and_count(y_true, y_pred, sample_weight))
        self.sums.assign_add(ops.reshape(sums, self.sums.shape))

    def result(self) -> Tensor:
        """Returns the mean so far; with columns, the mean over those that have labels."""
        totals, counts = self.sums[0], self.sums[1]
        labeled = ops.cast(counts > 0, counts.dtype)
        means = ops.divide_no_nan(totals, counts)
        return ops.divide_no_nan(ops.sum(means * labeled), ops.sum(labeled))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"loss": keras.saving.serialize_keras_object(self.loss), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MeanLoss":
        """Builds the metric that `get_config` described."""
        return cls(keras.saving.deserialize_keras_object(config["loss"]), config["name"])
