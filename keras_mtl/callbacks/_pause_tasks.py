"""Pausing single tasks while others go on."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_mtl._keras_internals import compiled_loss_weights
from keras_mtl._tasks import Task, is_variable
from keras_mtl.analysis._probing._read_batches import network_of
from keras_mtl.callbacks._refitting._head import Head, find_heads
from keras_mtl.callbacks._watching._best_towers import BestTowers
from keras_mtl.callbacks._watching._frozen_tower import FrozenTower
from keras_mtl.callbacks._watching._pauses import Pauses
from keras_mtl.callbacks._watching._watcher import Watcher
from keras_mtl.data._elements._numbers import read_number, read_whole
from keras_mtl.training import BalancedModel
from keras_mtl.training._frontier import find_frontier


class PauseTasks(Watcher):
    """Pauses a task whose validation metric no longer improves, while the others go on.

    A task that has waited for `patience` epochs gets the weight 0. From then on

    - shared layers get no gradient from it, and a balancer weighs the other tasks as if it were
      absent;
    - its tower stays as it is to the last bit, with all that the optimizer keeps for it: they are
      put back after each step. (A gradient of 0 alone is no rest: moments of earlier steps, weight
      decay and moving averages move a tower all the same.)

    With `tolerance`, a task is woken when its metric has become so much worse than it was when it
    was paused, since the shared layers move on below its tower. It then goes on with the weight
    and the moments that it had; Adam's count of steps, which is that of all variables, has gone on.
    When all tasks are paused, training stops.

    With `restore_best`, a task exits early at its best weights: its tower, and what the optimizer
    keeps for it, become those of its best epoch when it is paused. The shared layers are not turned
    back, and go on with the others, so that its metric is that of an old tower on a newer trunk.
    The tower of each best epoch is kept in memory, and with a `state_file` in a file beside it.
    On digits, a task of 40 labels beside one of 600 (`benchmarks/early_exit.py`, five seeds) has
    the log loss .79 (sd .40) when it is not paused, .48 (.17) paused, and .42 (.13) at its best
    weights; its accuracy is .846, .842 and .829. So its probabilities get better, not its answers.

    Choose it when some tasks overfit long before others are done (keras#3699). Choose `StopByTasks`
    if training shall stop instead, and `KeepBest` (with `RefitHeads`, whose last step suits towers
    that the trunk has left behind) to keep the weights of the best epochs. Do not choose it for
    the time that it saves, which is none: a paused task still takes part in the forward pass.

    What it does not undo: moments of the shared variables hold gradients from before the pause,
    under Adam a tenth less after each step. In networks with operations that stop gradients, a
    variable that other tasks read, and only the paused one trains, counts as shared. What a
    balancer has learned of a task (`Uncertainty`) follows its own moments for some steps.

    Args:
        tasks: All tasks of the model, the same objects. Those that may be paused have a
            `keras.Variable` as their weight: `Task(..., weight=keras.Variable(1.0))`.
        patience: For how many validated epochs a task waits for a better value, at least 1: a
            number for all tasks, or one by task; a task without one is never paused. Defaults to
            `3`.
        tolerance: By how much the metric of a paused task may get worse, in its own unit, before
            the task is woken: a number, or one by task. Defaults to `None`: it stays paused.
        metrics: The metric of each task, as for `StopByTasks`.
        min_delta: By how much a value has to be better, as for `StopByTasks`.
        restore_best: Whether a task is paused with the tower of its best epoch, instead of that of
            the last one. Defaults to `False`.
        state_file: A JSON file that keeps the values of all epochs, so that a training which was
            killed, and goes on by `keras.callbacks.BackupAndRestore` or `initial_epoch`, pauses
            the same tasks. Put this callback before `BackupAndRestore`. `None`: nothing is kept.

    Attributes:
        best: The best epoch (from 0) and value by task.
        paused: The names of the tasks that are paused now.

    The logs get `<task>_paused`, 1 or 0, for what holds from the next epoch on.

    Raises:
        ValueError: If an argument does not fit; at the begin of training, if the weight of a task
            is no variable, or the model was not made from these tasks; at the end of an epoch, if
            a watched metric is not logged.

    Example:
        >>> import numpy as np
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [
        ...     mtl.Task.binary("click", weight=keras.Variable(1.0)),
        ...     mtl.Task.regression("price", weight=keras.Variable(0.5)),
        ... ]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> network.compile("adam", **mtl.compile_args(tasks))
        >>> x, y = np.ones((8, 4)), {"click": np.arange(8) % 2, "price": np.zeros(8)}
        >>> pause = mtl.callbacks.PauseTasks(tasks, patience={"click": 2})
        >>> history = network.fit(
        ...     x, y, validation_data=(x, y), epochs=4, callbacks=[pause], verbose=0
        ... )
        >>> len(history.history["click_paused"])
        4

    Reference: none; wished for in keras#3699.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        patience: int | Mapping[str, int] = 3,
        tolerance: float | Mapping[str, float] | None = None,
        metrics: str | Mapping[str, Any] | None = None,
        min_delta: float | Mapping[str, float] = 0.0,
        restore_best: bool = False,
        state_file: str | os.PathLike[str] | None = None,
    ) -> None:
        path = None if state_file is None else Path(state_file)
        super().__init__(tasks, metrics, min_delta, None, path)
        names = [task.name for task in tasks]
        self._tasks = {task.name: task for task in tasks}
        self._patience = {
            name: read_whole(number, f"task {name!r}: patience is")
            for name, number in _by_task(patience, names, "patience").items()
        }
        self._tolerance = {
            name: read_number(number, f"task {name!r}: tolerance is", low=0)
            for name, number in _by_task(tolerance, names, "tolerance").items()
        }
        # Each variable with the number that it holds while its task trains.
        self._weights = {name: _read_weight(self._tasks[name]) for name in self._patience}
        self._pauses = Pauses(self._metrics, self._patience, self._tolerance)
        self.restore_best = restore_best
        self._best_towers = BestTowers(path)
        self._heads: dict[str, Head] = {}
        self._frozen: dict[str, FrozenTower] = {}

    @property
    def paused(self) -> list[str]:
        """The names of the tasks that are paused now."""
        return [name for name in self._tasks if name in self._frozen]

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Finds the towers, and wakes all tasks."""
        super().on_train_begin(logs)
        tasks = list(self._tasks.values())
        network = network_of(self.model, tasks)
        self._check_weights()
        self._heads = find_heads(find_frontier(network, tasks))
        self._pauses = Pauses(self._metrics, self._patience, self._tolerance)
        self._best_towers.forget()
        self._follow()

    def _check_weights(self) -> None:
        model = self.model
        if isinstance(model, BalancedModel):
            weights = {task.name: task.weight for task in model.tasks}
        else:
            weights = compiled_loss_weights(model) or {}
        for name, (variable, _) in self._weights.items():
            used = weights.get(name) if isinstance(weights, Mapping) else None
            if used is not variable:
                raise ValueError(
                    f"task {name!r}: the model does not read its weight, and would train it when "
                    "it is paused. Pass the tasks from which the BalancedModel was made, or which "
                    "compile_args got."
                )

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Recalls, before the first epoch of a run that goes on, which tasks are paused."""
        begins = self._begins
        super().on_epoch_begin(epoch, logs)
        if begins:
            for values in self._progress.values:
                self._pauses.add(values)
            # The towers of paused tasks are in the weights with which training goes on.
            self._follow()
            if self.restore_best and epoch > 0:
                self._best_towers.recall({*self._patience} & {*self.best}, epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Puts the towers of paused tasks back."""
        if self._frozen:
            with self.model.distribute_strategy.scope():
                for tower in self._frozen.values():
                    tower.restore()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Pauses and wakes tasks, and stops training if all of them are paused."""
        improved = self._watch(epoch, logs)
        if improved is not None:
            self._pauses.add(self._progress.values[-1])
            if self.restore_best:
                self._keep_best(epoch, improved)
            self._follow()
            self._save_state()
        if logs is not None:  # always the same names, since CSVLogger reads those of one epoch
            logs.update({f"{name}_paused": float(name in self._frozen) for name in self._tasks})
        if len(self._frozen) == len(self._tasks):
            self.model.stop_training = True

    def _keep_best(self, epoch: int, improved: Sequence[str]) -> None:
        """Keeps the towers of tasks that have improved, and gives those that pause the best one."""
        for name in improved:
            if name in self._patience and name not in self._frozen:
                tower = FrozenTower(self._heads[name], self.model.optimizer)
                self._best_towers.keep(name, epoch, tower)
        self._best_towers.save()
        with self.model.distribute_strategy.scope():
            for name in self._pauses.paused:
                if name not in self._frozen:
                    tower = FrozenTower(self._heads[name], self.model.optimizer)
                    self._best_towers.restore(name, tower)

    def _follow(self) -> None:
        """Gives weights and towers the state that `_pauses` tells."""
        for name, (variable, number) in self._weights.items():
            paused = name in self._pauses.paused
            variable.assign(0.0 if paused else number)
            if not paused:
                self._frozen.pop(name, None)
            elif name not in self._frozen:
                self._frozen[name] = FrozenTower(self._heads[name], self.model.optimizer)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Gives the tasks their weights back, for another training."""
        super().on_train_end(logs)
        for variable, number in self._weights.values():
            variable.assign(number)


def _by_task(numbers: Any, names: Sequence[str], argument: str) -> dict[str, Any]:
    if numbers is None:
        return {}
    if not isinstance(numbers, Mapping):
        return dict.fromkeys(names, numbers)
    unknown = sorted({*numbers} - {*names})
    if unknown:
        raise ValueError(f"{argument} names {unknown}, which are no tasks; expected {names}.")
    return dict(numbers)


def _read_weight(task: Task) -> tuple[Any, float]:
    """Returns the weight of a task and its present number; checks that it can be changed."""
    if not is_variable(task.weight):
        raise ValueError(
            f"task {task.name!r}: its weight is {task.weight}, which cannot become 0 while the "
            "task is paused; make the task with weight=keras.Variable(1.0), or leave it out of "
            "patience."
        )
    weight = float(keras.ops.convert_to_numpy(task.weight))
    if weight == 0:
        raise ValueError(
            f"task {task.name!r}: its weight is 0, so that it does not train anyway; leave it out "
            "of patience."
        )
    return task.weight, weight
