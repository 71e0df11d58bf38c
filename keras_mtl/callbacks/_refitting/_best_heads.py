"""Each head at its best epoch, with an early stopping of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy.typing as npt

from keras_mtl.callbacks._refitting._head import Head
from keras_mtl.callbacks._watching._watched_metrics import WatchedMetric


class BestHeads(keras.callbacks.Callback):
    """Keeps each head at the epoch that is best for its task, and stops when all have stalled.

    A head that has waited for `patience` epochs is done: what it does in later epochs, in which
    others still train, does not count.

    Args:
        heads: The heads by task.
        metrics: The watched metric of each task.
        patience: For how many epochs a head waits.

    Attributes:
        scores: The best value of each task.
        epochs: For how many epochs each head was trained to get there; 0: it stays as it was.
    """

    def __init__(
        self, heads: Mapping[str, Head], metrics: Sequence[WatchedMetric], patience: int
    ) -> None:
        super().__init__()
        self._heads, self._metrics, self._patience = heads, metrics, patience
        self.scores: dict[str, float] = {}
        self.epochs = dict.fromkeys(heads, 0)
        self._values: dict[str, list[npt.NDArray[Any]]] = {}
        # Tasks without variables of their own have nothing to train.
        self._training = {metric.task for metric in metrics if heads[metric.task].trained}

    def begin(self, logs: Mapping[str, float]) -> None:
        """Receives the validation of the heads as they are, which any other has to beat."""
        for metric in self._metrics:
            self._values[metric.task] = self._heads[metric.task].values()
            value = logs[metric.log]
            if metric.is_better(value, None):
                self.scores[metric.task] = value

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Takes the values of the heads that are better than before."""
        for metric in self._metrics:
            task, value = metric.task, (logs or {})[metric.log]
            if task not in self._training:
                continue
            if metric.is_better(value, self.scores.get(task)):
                self.scores[task], self.epochs[task] = value, epoch + 1
                self._values[task] = self._heads[task].values()
            elif epoch + 1 - self.epochs[task] >= self._patience:
                self._training.remove(task)
        if not self._training:
            self.model.stop_training = True

    def restore(self) -> None:
        """Puts the best values back into all heads."""
        for task, values in self._values.items():
            self._heads[task].assign(values)
