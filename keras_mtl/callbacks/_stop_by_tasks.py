"""Stopping when tasks no longer improve."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from keras_mtl._tasks import Task
from keras_mtl.callbacks._watching._watched_metrics import Baselines
from keras_mtl.callbacks._watching._watcher import Watcher
from keras_mtl.data._elements._numbers import read_whole

_STOPS = ("all", "any", "aggregate")


class StopByTasks(Watcher):
    """Stops training when the validation metrics of the tasks no longer improve.

    For each task it counts the epochs since its metric was last better than ever before:

        "all"        stop when every task has waited for `patience` epochs, all at the same epoch
        "any"        stop when one task has waited so long
        "aggregate"  stop when the mean over tasks has waited so long: the mean gain over
                     `baselines`, or without them the mean of the tasks' ranks among all epochs

    Choose it instead of Keras's `EarlyStopping`, which watches a single metric. `"all"` trains
    until the slowest task is done; add `KeepBest` to have weights of a better epoch than the last.
    `"any"` protects the task that overfits first. To stop by one task, pass that task alone. For
    one task all three are Keras's rule: same epoch, same `min_delta`.

    A value that is not finite is never an improvement, in the first epoch neither. Epochs without
    validation (`validation_freq`) are not counted.

    Args:
        tasks: The tasks that are watched.
        stop: `"all"`, `"any"` or `"aggregate"`. Defaults to `"all"`.
        patience: For how many validated epochs to wait, at least 1. Defaults to `3`.
        metrics: The metric of each task: a name for all tasks, or by task a name or
            `(name, "min" or "max")`; `"loss"` is the task's own loss. Defaults to the first metric
            of the task whose direction is known, or else its loss.
        min_delta: By how much a value has to be better, in the unit of the metric: a number, or
            one by task. It counts for mean gains too, but not for ranks. Defaults to `0`.
        baselines: The metric of a network of each task alone, for `"aggregate"`: a number by task,
            or a dict by metric as for `tuning.search_task_weights`.
        state_file: A JSON file that keeps the values of all epochs, so that a training which was
            killed, and goes on by `keras.callbacks.BackupAndRestore` or `initial_epoch`, stops
            where it would have stopped. Put this callback before `BackupAndRestore`. `None`:
            nothing is kept.

    Attributes:
        best: The best epoch (from 0) and value by task.
        waits: For how many validated epochs each task has waited.
        stopped_epoch: The epoch (from 0) at whose end it stopped training, or `None`.
        reason: Which tasks it stopped for, in words, or `None`.

    Raises:
        ValueError: If an argument does not fit, or, at the end of an epoch, if a watched metric is
            not logged.

    Example:
        >>> import numpy as np
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> network.compile("adam", **mtl.compile_args(tasks))
        >>> x, y = np.ones((8, 4)), {"click": np.arange(8) % 2, "price": np.zeros(8)}
        >>> stop = mtl.callbacks.StopByTasks(tasks, stop="any", patience=2, metrics="loss")
        >>> history = network.fit(
        ...     x, y, validation_data=(x, y), epochs=3, callbacks=[stop], verbose=0
        ... )
        >>> sorted(stop.best)
        ['click', 'price']

    Reference: the words "any" and "all" are those of Marian (marian-nmt/marian-dev#850).
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        stop: Literal["all", "any", "aggregate"] = "all",
        patience: int = 3,
        metrics: str | Mapping[str, Any] | None = None,
        min_delta: float | Mapping[str, float] = 0.0,
        baselines: Baselines | None = None,
        state_file: str | os.PathLike[str] | None = None,
    ) -> None:
        if stop not in _STOPS:
            raise ValueError(f"stop is {stop!r}; expected one of {_STOPS}.")
        if stop != "aggregate" and baselines is not None:
            raise ValueError(f"baselines belong to stop='aggregate'; received stop={stop!r}.")
        path = None if state_file is None else Path(state_file)
        super().__init__(tasks, metrics, min_delta, baselines, path)
        self.stop = stop
        self.patience = read_whole(patience, "patience is")
        self.stopped_epoch: int | None = None
        self.reason: str | None = None

    @property
    def waits(self) -> dict[str, int]:
        """For how many validated epochs each task has waited."""
        return self._progress.waits()

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Forgets an earlier training."""
        super().on_train_begin(logs)
        self.stopped_epoch = self.reason = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Counts, and stops training if the tasks have waited long enough."""
        if self._watch(epoch, logs) is None:
            return
        self._save_state()
        stalled = self._stalled()
        if stalled:
            self.stopped_epoch = epoch
            self.reason = f"no improvement in {self.patience} epochs: {', '.join(stalled)}"
            self.model.stop_training = True

    def _stalled(self) -> list[str]:
        """Returns the names of what training stops for."""
        if self.stop == "aggregate":
            return ["all tasks together"] if self._progress.wait_of_all() >= self.patience else []
        stalled = [task for task, wait in self.waits.items() if wait >= self.patience]
        return stalled if self.stop == "any" or len(stalled) == len(self._metrics) else []
