"""The base of callbacks that watch one metric per task."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.callbacks._watching._progress import Best, Progress
from keras_mtl.callbacks._watching._state_file import read_state, write_state
from keras_mtl.callbacks._watching._watched_metrics import Baselines, read_metrics


class Watcher(keras.callbacks.Callback):
    """Reads one metric per task in each epoch, and remembers them beyond the end of a process.

    Args:
        tasks: The tasks.
        metrics, min_delta, baselines: As for `read_metrics`.
        state_file: Where the history is kept; `None`: nowhere.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        metrics: str | Mapping[str, Any] | None,
        min_delta: float | Mapping[str, float],
        baselines: Baselines | None,
        state_file: Path | None,
    ) -> None:
        super().__init__()
        self._metrics = read_metrics(check_tasks(tasks), metrics, min_delta, baselines)
        self._state_file = state_file
        self._progress = Progress(self._metrics)
        self._begins = True

    @property
    def best(self) -> dict[str, Best]:
        """The best epoch (from 0) and value of each task that had a finite value."""
        return dict(self._progress.best)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Forgets an earlier training."""
        self._begins = True
        self._progress = Progress(self._metrics)  # also where no epoch follows

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Recalls, before the first epoch of a run that goes on, the epochs before it."""
        # Here, not in `on_train_begin`: only now is it known at which epoch training goes on.
        if self._begins:
            self._begins = False
            if epoch > 0 and self._state_file is not None:
                self._recall(epoch)

    def _recall(self, epoch: int) -> None:
        assert self._state_file is not None
        if self._state_file.exists():
            read_state(self._state_file, self._progress, before=epoch)
        else:
            warnings.warn(
                f"training goes on at epoch {epoch + 1}, but there is no "
                f"{str(self._state_file)!r} of the epochs before: they are not known.",
                stacklevel=2,
            )

    def _watch(self, epoch: int, logs: Mapping[str, float] | None) -> list[str] | None:
        """Reads the logs of an epoch; returns the tasks that improved, `None` without validation.

        Raises:
            ValueError: If a watched metric is not logged.
        """
        logs = logs or {}
        if not any(name.startswith("val_") for name in logs):
            return None
        missing = [metric.log for metric in self._metrics if metric.log not in logs]
        if missing:
            raise ValueError(
                f"{type(self).__name__} watches {missing}, which are not logged; the logs hold "
                f"{sorted(logs)}. Compile with keras_mtl.compile_args(tasks) or BalancedModel, and "
                "pass the tasks of that model."
            )
        values = {metric.task: float(logs[metric.log]) for metric in self._metrics}
        return self._progress.add(epoch, values)

    def _save_state(self) -> None:
        if self._state_file is not None:
            write_state(self._state_file, self._progress)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Warns if no epoch had validation data."""
        if not self._progress.epochs:
            warnings.warn(
                f"{type(self).__name__} saw no validation metrics, and did nothing. Pass "
                "validation_data to fit.",
                stacklevel=2,
            )
