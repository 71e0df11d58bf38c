"""Auxiliary tasks that are left out once they are seen to harm the main one."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.analysis._probing._probe import Probe
from keras_mtl.analysis._probing._read_batches import Element
from keras_mtl.analysis._probing._trials import Trials, check_trials
from keras_mtl.callbacks._affinity_monitor import AffinityMonitor
from keras_mtl.callbacks._monitoring._json_lines import Record
from keras_mtl.callbacks._monitoring._log_names import log_tasks
from keras_mtl.data._elements._numbers import read_whole
from keras_mtl.training import BalancedModel

_WAYS = ("look ahead", "first order", "validation")
_READ = ("gains", "errors")
_TRIALS = 8  # standard errors of fewer say little


class DropTask(AffinityMonitor):
    """Leaves an auxiliary task out for good once its steps make the main task worse.

    At the end of each epoch it measures on held-back rows, as `AffinityMonitor` does, what a step
    along the gradient of each auxiliary task would do to the loss of the main task on other rows:

        Z = (L_main after a step of zeros - L_main after the step) / L_main

    A task is dropped when the mean of Z over the measurements of an epoch lies more than two
    standard errors below 0, `patience` epochs in a row. From then on it takes no part: no gradient
    of it reaches shared layers, its tower rests with its moments, and balancers see the others
    alone (`BalancedModel.set_active`). At the end of training it may train again.

    Choose it where one task matters and others are there to help, and nobody knows which do. The
    cosine of single batches hardly tells a helpful task from one with random labels
    (`balancers.GradientGate`); held-back rows and several epochs do, if it harms. A task that
    neither helps nor harms stays.

    A small step tells what a task does at once, and nothing of the moments of the optimizer, the
    balancer or the other tasks. `by="validation"` takes the steps of training themselves, on the
    first batches of some pairs, once with all tasks and once without each auxiliary one, and then

        Z = (L_main without the task - L_main with it) / L_main without it

    is measured on the second batches of these pairs. Network, optimizer, balancer, seeds and
    metrics then get their values back, to the last bit. There are up to eight such trials; with n
    pairs of batches, each takes n / 8 steps. So it costs n / 2 batches of training for all tasks
    and for each auxiliary one. Choose it where steps interact (Gramian rules, momentum), with a few
    dozen batches.

    For a task that has only learned enough, take `PauseTasks`. The
    measurement costs a backward pass per task and a forward pass per task and pair of batches, at
    each epoch.

    Args:
        tasks: The tasks of the model.
        rows: Batches of rows that are not trained on, at least eight, in a fixed order: each pair
            of them is one measurement.
        main: The name of the task that matters.
        auxiliary: The names of the tasks that may be dropped. Defaults to `None`: all others.
        patience: In how many epochs in a row a task has to harm. Defaults to `2`.
        by: `"look ahead"` or `"first order"`, the `method` of `AffinityMonitor`; or
            `"validation"`, on one device alone. Defaults to `None`: the first up to 16 losses.
        file: A file of records, as for `AffinityMonitor`; with it, a run that was killed goes on
            with the tasks that were left.

    Attributes:
        dropped: The epoch (from 0) at whose end each task was dropped, by name.

    The logs get `<task>_dropped`, 1 or 0, for what holds from the next epoch on, beside those of
    `AffinityMonitor`, or with `by="validation"`, `gain/<task>`, the mean of Z.

    Raises:
        ValueError: If a name is no task, the main task is auxiliary, or an argument does not fit;
            at the begin of training, if the model is no `BalancedModel`, or rows are too few; with
            `by="validation"`, also on several replicas, under a balancer that needs a second batch,
            and if the optimizer gathers gradients.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.regression("price"), mtl.Task.binary("click")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        >>> model.compile("adam")
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(64, 4)).astype("float32")
        >>> y = {"price": x[:, 0], "click": (x[:, 1] > 0).astype("float32")}
        >>> import tensorflow as tf
        >>> held_back = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
        >>> drop = DropTask(tasks, held_back, main="price")
        >>> history = model.fit(x, y, callbacks=[drop], verbose=0)
        >>> history.history["click_dropped"]
        [0.0]

    Reference: The affinity is that of Fifty et al. 2021 (TAG), arXiv:2109.04617, beside a step of
    zeros; to drop by it is this package's.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        rows: Any,
        *,
        main: str,
        auxiliary: Sequence[str] | None = None,
        patience: int = 2,
        by: Literal["look ahead", "first order", "validation"] | None = None,
        file: str | os.PathLike[str] | None = None,
    ) -> None:
        if by not in (None, *_WAYS):
            raise ValueError(f"by is {by!r}; expected one of {[*_WAYS]}.")
        super().__init__(tasks, rows, method=None if by == "validation" else by, file=file)
        self.by = by
        names = [task.name for task in tasks]
        if main not in names:
            raise ValueError(f"main is {main!r}; expected one of {names}.")
        if isinstance(auxiliary, str):
            raise ValueError(f"auxiliary must be a list of names; received {auxiliary!r}.")
        chosen = [name for name in names if name != main] if auxiliary is None else [*auxiliary]
        if wrong := [name for name in chosen if name not in names or name == main]:
            raise ValueError(
                f"auxiliary names {wrong}; expected some of {[n for n in names if n != main]}."
            )
        if with_columns := [t.name for t in tasks if t.columns and t.name in (main, *chosen)]:
            raise ValueError(
                f"the tasks {with_columns} have columns, which harm and help one by one; DropTask "
                "takes tasks with one loss."
            )
        self.main, self.auxiliary = main, chosen
        self.patience = read_whole(patience, "patience is")
        self.dropped: dict[str, int] = {}
        self._trials: Trials | None = None
        self._gains: list[np.ndarray] = []

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Checks the model, and lets all tasks take part."""
        if not isinstance(self.model, BalancedModel):
            raise ValueError(
                f"DropTask needs a BalancedModel; received {type(self.model).__name__}. With fixed "
                "weights, use BalancedModel(network, tasks, keras_mtl.balancers.Equal())."
            )
        if self.by == "validation":
            check_trials(self.model)
        super().on_train_begin(logs)
        if len(self._pairs) < 4:
            raise ValueError(
                f"DropTask measures on pairs of batches, and rows have {len(self._pairs)} of them; "
                "pass at least eight batches, so that a mean has a standard error."
            )
        self.dropped = {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Recalls, before the first epoch of a run that goes on, which tasks were dropped."""
        begins = self._begins
        super().on_epoch_begin(epoch, logs)
        if begins:
            for number in range(len(self.records)):
                self._judge(self.records[: number + 1])
            self._follow()

    def prepare(self, probe: Probe) -> None:
        """Forgets the graphs of another network."""
        super().prepare(probe)
        self._trials = Trials(self.model, probe, self.main) if self.by == "validation" else None
        self._gains = []

    def measure(self, pair: tuple[Element, Element]) -> None:
        """Takes a measurement by a step; trials need several pairs."""
        if self._trials is None:
            super().measure(pair)

    def end(self, pairs: Sequence[tuple[Element, Element]]) -> None:
        """Takes the trials of an epoch."""
        if self._trials is None:
            return
        steps = max(1, len(pairs) // _TRIALS)
        for i in range(0, len(pairs) - steps + 1, steps):
            rows, judges = zip(*pairs[i : i + steps], strict=True)
            self._gains.append(self._trials.gains(rows, judges, self.auxiliary))

    def _measured(self) -> np.ndarray:
        """Returns the gains `[measurements, auxiliary tasks]` of an epoch."""
        if self._trials is not None:
            gains, self._gains = np.stack(self._gains), []
            return gains
        steps = np.stack([result.marginal for result in self._results])
        names = list(self.probe.names)
        return steps[:, [names.index(name) for name in self.auxiliary], names.index(self.main)]

    def scalars(self, record: Record) -> dict[str, float]:
        """Returns the numbers of a record that are logged."""
        if self._trials is None:
            return super().scalars(record)
        return log_tasks("gain", record["gains"], self.auxiliary)

    def summarize(self) -> Record:
        """Returns the record of an epoch, with gains of the main task and their errors."""
        gains = self._measured()
        known = np.maximum(np.sum(~np.isnan(gains), axis=0), 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.nansum(gains, axis=0) / known
            spreads = np.sqrt(np.nansum((gains - means) ** 2, axis=0) / (known - 1))
        return {
            **super().summarize(),
            "gains": means,
            "errors": spreads / np.sqrt(known),
        }

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measures, and drops tasks that harm."""
        super().on_epoch_end(epoch, logs)
        if self._judge(self.records):
            self._follow()
        if logs is not None:
            logs.update({f"{name}_dropped": float(name in self.dropped) for name in self.auxiliary})

    def _judge(self, records: Sequence[Record]) -> list[str]:
        """Returns the tasks that are dropped after the last of some epochs."""
        last = records[-self.patience :]
        if len(last) < self.patience:
            return []
        newly = []
        for position, name in enumerate(self.auxiliary):
            # Comparisons with NaN, where nothing was measured (a record has None), are false.
            numbers = np.array([[r[key][position] for key in _READ] for r in last], np.float64)
            harms = bool(np.all(numbers @ [1.0, 2.0] < 0))
            if harms and name not in self.dropped:
                self.dropped[name] = int(records[-1]["epoch"])
                newly.append(name)
        return newly

    def _follow(self) -> None:
        """Switches the dropped tasks off."""
        if self.dropped:
            with self.model.distribute_strategy.scope():
                active = [name for name in self.model.active_tasks if name not in self.dropped]
                self.model.set_active(active)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Lets all tasks take part again, for another training."""
        if self.dropped:
            self.model.set_active([task.name for task in self._tasks])
