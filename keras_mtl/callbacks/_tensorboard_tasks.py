"""Tasks in TensorBoard: weights, losses, relations, and one chart per task."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.callbacks._affinity_monitor import AffinityMonitor
from keras_mtl.callbacks._boards._charts import PREFIXES, layout_summary
from keras_mtl.callbacks._boards._event_folder import EventFolder
from keras_mtl.callbacks._boards._hyperparameters import split_values, trial_summaries
from keras_mtl.callbacks._boards._matrices import describe_pairs, draw_matrix, read_matrices
from keras_mtl.callbacks._conflict_monitor import ConflictMonitor
from keras_mtl.callbacks._monitoring._log_names import MAX_LOGGED
from keras_mtl.callbacks._watching._watched_metrics import read_metrics


class TensorBoardTasks(keras.callbacks.Callback):
    """Writes what TensorBoard needs to show a training by tasks.

    Choose it beside `keras.callbacks.TensorBoard`, which writes all logs as single curves, but no
    chart with several of them, no matrix and no table of trials. Without it, this callback works,
    too. Where MLflow or Weights & Biases keep the logs, their Keras callbacks are enough.

    At the end of each epoch it writes, from the logs,

        loss/<task>      mean loss per label, of training and of validation
        metric/<task>    the metric of the task, of training and of validation
        weight/<task>    the weight that a `BalancedModel` logs, of training
        cosine/<a>/<b>, gate/<gate>/<expert>, ...    what monitors log, by the same names

    The tab "Custom scalars" has one chart per task for its losses, its metrics and its weights,
    and one per kind of relation; the tab "HParams" has this training as a row, with one metric per
    task. Numbers of monitors are left out in epochs without a measurement. Above 8 tasks, monitors
    log no number per pair; the matrix is then written as an image, with the mean, the lowest
    number and `share_below_0` of its pairs.

    Nothing of the training changes. Steps in TensorBoard are epochs from 0, as with Keras. A
    training that goes on, by `keras.callbacks.BackupAndRestore` or `initial_epoch`, goes on with
    its epoch; epochs that are trained again replace those before. A new training in the same folder
    replaces the one before.

    Args:
        tasks: The tasks.
        log_dir: The folder, which may be that of `keras.callbacks.TensorBoard`. Runs are its
            sub-folders `tasks`, `tasks/train` and `tasks/validation`, so that no folder has two
            writers. One folder per trial.
        monitors: `ConflictMonitor` and `AffinityMonitor` whose matrices are written above 8 tasks
            or columns.
            Put all monitors before this callback in `fit(callbacks=[...])`.
        metrics: The metric of each task, as for `StopByTasks`. Defaults to `None`: the first one
            whose direction is known, or else the loss.
        hparams: Hyperparameters by name. Those that the table cannot take (all but numbers, words
            and yes or no) are written as text `hparams/<name>`. `None` and `{}`: no table.
        trial_id: The name of the trial in the table; trials of the same name, such as seeds, are
            one group. Defaults to `None`: one name per set of hyperparameters.

    Raises:
        ValueError: If tasks, metrics or monitors do not fit; at the end of an epoch, if the logs
            have no loss of a task, or a monitor is behind this callback.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.regression("age")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(4,))
        >>> network.compile("adam", **mtl.compile_args(tasks))
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> board = TensorBoardTasks(tasks, folder, hparams={"shared": 4, "rate": 0.001})
        >>> x, y = np.eye(8, 3), {"income": np.arange(8) % 2, "age": np.arange(8.0)}
        >>> history = network.fit(x, y, validation_data=(x, y), callbacks=[board], verbose=0)
        >>> sorted(path.name for path in (folder / "tasks").iterdir() if path.is_dir())
        ['train', 'validation']
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        log_dir: str | os.PathLike[str],
        *,
        monitors: Sequence[ConflictMonitor | AffinityMonitor] = (),
        metrics: str | Mapping[str, Any] | None = None,
        hparams: Mapping[str, Any] | None = None,
        trial_id: str | None = None,
    ) -> None:
        super().__init__()
        tasks = check_tasks(tasks)
        self._names = [task.name for task in tasks]
        self._metrics = read_metrics(tasks, metrics, 0.0, None)
        for monitor in monitors:
            if not isinstance(monitor, ConflictMonitor | AffinityMonitor):
                raise ValueError(
                    f"monitors holds {monitor!r}; expected a ConflictMonitor or AffinityMonitor. "
                    "Other monitors need no entry: their logs are read."
                )
        self._monitors = tuple(monitors)
        self._hparams = dict(hparams or {})
        self._trial_id = trial_id
        self._folder = Path(log_dir) / "tasks"
        self._runs: dict[str, EventFolder] = {}
        self._first = 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Closes the files of an earlier training that did not end."""
        self.on_train_end()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes charts and hyperparameters before the first epoch of a run."""
        # Here, not in `on_train_begin`: only now is it known at which epoch training goes on.
        if self._runs:
            return
        self._first = epoch
        run = self._run("")
        run.add(layout_summary(self._names), epoch)
        taken, texts = split_values(self._hparams)
        for name, text in texts.items():
            run.add_text(f"hparams/{name}", text, epoch)
        if taken:
            tags = [
                ("loss/" if metric.log.endswith("_mean_loss") else "metric/") + metric.task
                for metric in self._metrics
            ]
            titles = [metric.log.removeprefix("val_") for metric in self._metrics]
            for summary in trial_summaries(taken, zip(tags, titles, strict=True), self._trial_id):
                run.add(summary, epoch)
        run.flush()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes the numbers of an epoch."""
        logs = logs or {}
        self._write(self._run("train"), epoch, logs, "")
        if any(name.startswith("val_") for name in logs):
            self._write(self._run("validation"), epoch, logs, "val_")
        train = self._run("train")
        for name, value in logs.items():
            is_relation = "/" in name and name.split("/")[0] in PREFIXES
            if is_relation and not math.isnan(value):
                train.add_scalar(name, float(value), epoch)
        for monitor in self._monitors:
            self._write_matrices(monitor, epoch, logs)
        for run in self._runs.values():
            run.flush()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Closes the files."""
        for run in self._runs.values():
            run.close()
        self._runs = {}

    def _run(self, name: str) -> EventFolder:
        if name not in self._runs:
            self._runs[name] = EventFolder(self._folder / name, self._first)
        return self._runs[name]

    def _write(self, run: EventFolder, epoch: int, logs: Mapping[str, float], part: str) -> None:
        """Writes losses, metrics and weights, of training (`part` is "") or of validation."""
        for metric in self._metrics:
            task = metric.task
            run.add_scalar(f"loss/{task}", self._loss(task, logs, part), epoch)
            name = part + metric.log.removeprefix("val_")
            if name in logs and not name.endswith("_mean_loss"):
                run.add_scalar(f"metric/{task}", float(logs[name]), epoch)
            weight = f"{part}{task}_weight"
            if weight in logs:
                run.add_scalar(f"weight/{task}", float(logs[weight]), epoch)

    def _loss(self, task: str, logs: Mapping[str, float], part: str) -> float:
        # Without `compile_args`, Keras has no mean over labels, and no name for a single task.
        names = [f"{part}{task}_mean_loss", f"{part}{task}_loss"]
        names += [f"{part}loss"] if len(self._names) == 1 else []
        for name in names:
            if name in logs:
                return float(logs[name])
        raise ValueError(
            f"task {task!r}: none of {names} is logged; the logs hold {sorted(logs)}. Compile with "
            "keras_mtl.compile_args(tasks) or BalancedModel, and pass the tasks of that model."
        )

    def _write_matrices(
        self, monitor: ConflictMonitor | AffinityMonitor, epoch: int, logs: Mapping[str, float]
    ) -> None:
        record = monitor.records[-1] if monitor.records else {}
        if record.get("epoch") != epoch:
            raise ValueError(
                f"{type(monitor).__name__} has no record of epoch {epoch}. Pass it to "
                "fit(callbacks=[...]), before TensorBoardTasks."
            )
        if len(record["tasks"]) <= MAX_LOGGED:  # columns of a task count as tasks here
            return
        run = self._run("train")
        for prefix, matrix in read_matrices(record).items():
            for name, value in describe_pairs(matrix).items():
                if f"{prefix}/{name}" not in logs:  # else written above
                    run.add_scalar(f"{prefix}/{name}", value, epoch)
            png, size = draw_matrix(matrix, record["tasks"], f"{prefix}, epoch {epoch}")
            run.add_image(f"{prefix}/matrix", png, size, epoch)
