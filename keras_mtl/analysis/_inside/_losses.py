"""The mean losses of tasks over all rows of a dataset."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.analysis._inputs._numbers import FloatArray


class LossSums:
    """Sums losses over batches, `[..., columns]`, to means over the valid labels of all batches.

    They are those that are logged as `<task>_mean_loss`: of a task with columns, the mean over the
    columns that have labels.

    Args:
        tasks: The tasks.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._losses = {task.name: task.make_loss() for task in tasks}
        self._totals: dict[tuple[str, ...], FloatArray] = {}

    def reset(self) -> None:
        """Forgets all batches."""
        self._totals.clear()

    def of_batch(
        self,
        predictions: Mapping[str, Tensor],
        labels: Mapping[str, Tensor],
        weights: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Returns total and count of the tasks that are predicted, each `[2, columns]`.

        It may be called in a `tf.function`.
        """
        sums = {}
        for name, prediction in predictions.items():
            pair = self._losses[name].total_and_count(labels[name], prediction, weights[name])
            sums[name] = tf.reshape(tf.stack(pair), (2, -1))
        return sums

    def add(self, sums: Mapping[str, Tensor], *key: str) -> None:
        """Adds the sums of a batch to those of a key."""
        for name, pair in sums.items():
            value = np.asarray(pair, np.float64)
            self._totals[(*key, name)] = self._totals.get((*key, name), 0.0) + value

    def mean(self, task: str, *key: str) -> float:
        """Returns the mean loss of a task; NaN if it has no label."""
        totals, counts = self._totals[(*key, task)]
        labeled = counts > 0
        return float(np.mean(totals[labeled] / counts[labeled])) if labeled.any() else np.nan
