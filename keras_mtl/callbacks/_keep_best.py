"""Keeping the weights of the best epoch, of all tasks together or of each."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.callbacks._refit_heads import RefitHeads
from keras_mtl.callbacks._refitting._heads_network import make_heads_network
from keras_mtl.callbacks._refitting._refit import Refitted, begin_refit, refit, unfitted_path
from keras_mtl.callbacks._watching._watched_metrics import Baselines
from keras_mtl.callbacks._watching._watcher import Watcher

_SUFFIXES = (".weights.h5", ".keras")
_ALL_EPOCHS = sys.maxsize


class KeepBest(Watcher):
    """Saves the weights of the best validated epoch, for all tasks together or for each task.

        "aggregate"  one file: the epoch with the best mean over tasks, which is the mean gain over
                     `baselines`, or without them the mean of the tasks' ranks among all epochs
                     so far
        "each"       one file per task: the whole network of the epoch that was best for that task
        RefitHeads   one file: the shared layers of the epoch that is best by "aggregate", with
                     heads that are trained again on them at the end of training, each for as long
                     as its task gets better

    Choose `"aggregate"` to serve one network, and `RefitHeads(train, validation)` if its tasks are
    best at different epochs. Choose `"each"` to serve one network per task, which costs as much as
    networks that share nothing. Do not join the tower of one epoch to the trunk of another one: a
    tower belongs to the trunk that it was trained on. (`RefitHeads` has figures of all four.)

    Keras's `ModelCheckpoint(save_best_only=True)` watches a single metric, forgets the best value
    when a run goes on (keras#17012), and takes a NaN in the first epoch for the best.

    A value that is not finite is never better. Of equal epochs the earlier one is kept. Files are
    written beside their place and then moved, so that a killed run leaves whole ones. Several
    worker processes must not share a path: give each its own.

    Args:
        tasks: The tasks that are watched.
        filepath: Where to save, ending in `.weights.h5` or `.keras`; with `keep="each"` it holds
            `{task}`. The values of all epochs are kept beside it, in `<filepath>.json`.
        keep: `"aggregate"`, `"each"` or a `RefitHeads`, for which the tasks have to be all outputs
            of the network. A refit that is killed begins again when training is resumed. Defaults
            to `"aggregate"`.
        metrics: The metric of each task, as for `StopByTasks`.
        min_delta: By how much a value has to be better, as for `StopByTasks`.
        baselines: The metric of a network of each task alone, unless networks of `"each"` task
            are kept, as for `StopByTasks`. Without them the ranks say nothing of how much an epoch
            is better.
        restore: Whether the model has the kept weights at the end of training, if they are one
            network. Defaults to `True`.

    Attributes:
        best: The best epoch (from 0) and value by task.
        best_epoch: The epoch (from 0) whose weights are kept, or `None`; not for `"each"`.
        refitted: The watched metric of each task on the validation data of `RefitHeads`, before and
            after the refit; empty before it.

    Raises:
        ValueError: If an argument does not fit; at the begin of training, if a network has no heads
            to refit; at the end of an epoch, if a watched metric is not logged.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> network.compile("adam", **mtl.compile_args(tasks))
        >>> x, y = np.ones((8, 4)), {"click": np.arange(8) % 2, "price": np.zeros(8)}
        >>> folder = tempfile.mkdtemp()
        >>> keep = mtl.callbacks.KeepBest(tasks, f"{folder}/{{task}}.weights.h5", keep="each")
        >>> history = network.fit(
        ...     x, y, validation_data=(x, y), epochs=2, callbacks=[keep], verbose=0
        ... )
        >>> keep.load("price")
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        filepath: str | os.PathLike[str],
        *,
        keep: Literal["aggregate", "each"] | RefitHeads = "aggregate",
        metrics: str | Mapping[str, Any] | None = None,
        min_delta: float | Mapping[str, float] = 0.0,
        baselines: Baselines | None = None,
        restore: bool = True,
    ) -> None:
        self.filepath = os.fspath(filepath)
        _check_arguments(keep, self.filepath, baselines)
        state_file = Path(self.filepath.replace("{task}", "tasks") + ".json")
        super().__init__(tasks, metrics, min_delta, baselines, state_file)
        self.keep = keep
        self.restore = restore
        self.refitted: Refitted = {}
        self._tasks = check_tasks(tasks)

    @property
    def best_epoch(self) -> int | None:
        """The epoch (from 0) whose weights are kept; `None` before there is one."""
        best = self._progress.best_of_all
        return None if best is None else best[0]

    def path(self, task: str | None = None) -> Path:
        """Returns the file with the weights that are kept, with `keep="each"` those of a task."""
        names = [metric.task for metric in self._metrics]
        if self.keep == "each" and task not in names:
            raise ValueError(f"task is {task!r}; expected one of {names}.")
        if self.keep != "each" and task is not None:
            raise ValueError(f"task is {task!r}, but all tasks have one file; leave task out.")
        return Path(self.filepath.replace("{task}", str(task)))

    def load(self, task: str | None = None) -> None:
        """Loads the weights that are kept into the model, with `keep="each"` those of a task."""
        self.model.load_weights(self.path(task))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Saves the weights if the epoch is the best so far."""
        improved = self._watch(epoch, logs)
        if improved is None:
            return
        if self.keep == "each":
            for task in improved:
                self._save(self.path(task))
        elif self.best_epoch == epoch:
            self._save(self.path())
        # After the weights: a run that is killed in between saves the same weights again.
        self._save_state()

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Forgets an earlier training, and looks whether heads can be refitted."""
        super().on_train_begin(logs)
        self.refitted = {}
        if isinstance(self.keep, RefitHeads):
            make_heads_network(self.model, self._tasks)

    def _save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"new-{path.name}")
        if path.name.endswith(".keras"):
            self.model.save(new)
        else:
            self.model.save_weights(new, overwrite=True)
        os.replace(new, path)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Refits the heads if asked for, and gives the model the weights that are kept."""
        if isinstance(self.keep, RefitHeads):
            # No epoch, but the file of a refit that was killed: training was over before it.
            unfinished = self._begins and unfitted_path(self.path()).exists()
            if unfinished:
                self._recall(_ALL_EPOCHS)
            if unfinished or self.best_epoch is not None:
                self._refit(self.keep, again=unfinished)
        super().on_train_end(logs)
        if self.restore and self.keep == "aggregate" and self.best_epoch is not None:
            self.load()

    def _refit(self, settings: RefitHeads, again: bool) -> None:
        last = self.path().with_name(f"last-{self.path().name}")
        if not self.restore:
            self._save(last)
        unfitted = unfitted_path(self.path()) if again else begin_refit(self.path())
        self.model.load_weights(unfitted)
        self.refitted = refit(self.model, self._tasks, self._metrics, settings)
        self._save(self.path())
        unfitted.unlink()  # after the weights: a refit that is killed before begins again
        if not self.restore:
            self.model.load_weights(last)
            last.unlink()


def _check_arguments(keep: Any, filepath: str, baselines: Any) -> None:
    if keep not in ("aggregate", "each") and not isinstance(keep, RefitHeads):
        raise ValueError(f"keep is {keep!r}; expected 'aggregate', 'each' or a RefitHeads.")
    if not filepath.endswith(_SUFFIXES):
        raise ValueError(f"filepath is {filepath!r}; expected it to end in one of {_SUFFIXES}.")
    if ("{task}" in filepath) != (keep == "each"):
        raise ValueError(
            f"filepath is {filepath!r} with keep={keep!r}; expected '{{task}}' in it for "
            "keep='each', which writes one file per task, and for no other."
        )
    if keep == "each" and baselines is not None:
        raise ValueError("baselines belong to keep='aggregate'; received keep='each'.")
