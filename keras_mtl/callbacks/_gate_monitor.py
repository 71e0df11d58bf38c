"""What the gates of a network do while it trains."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.analysis._gate_use import GateUse, make_reader, measure_gates
from keras_mtl.analysis._inside._core import read_core
from keras_mtl.analysis._inside._rows import Rows, read_rows
from keras_mtl.callbacks._monitoring._fixed_rows import read_fixed
from keras_mtl.callbacks._monitoring._json_lines import (
    Record,
    append_record,
    plain,
    read_records,
    write_records,
)
from keras_mtl.callbacks._monitoring._log_names import MAX_LOGGED
from keras_mtl.data._elements._numbers import read_whole

_FIELDS = (
    *("tasks", "experts", "load", "use", "entropy", "effective_experts", "specialization"),
    *("load_variation", "rise"),
)


class GateMonitor(keras.callbacks.Callback):
    """Follows what the gates of a network do with their experts while it trains.

    Every n epochs it measures `analysis.gate_use` on fixed rows. At the end of an epoch the logs
    get, for gate g and its expert e,

        gate/g/e                       the load of the expert, up to 8 gates
        gate/g/effective               the effective number of experts, up to 8 gates
        gates/effective/mean, .../min  over all gates
        gates/collapsed                how many gates have fewer than 1.5 effective experts

    Names are the same in all epochs; in those without a measurement the numbers are NaN.

    Choose it with networks of experts, to see in which epoch a gate collapses onto one expert, or
    whether tasks part. Weights, optimizer, seeds and moving averages are the same with this
    callback and without it, to the last bit. A measurement takes one forward pass of the rows.

    Args:
        tasks: The tasks.
        dataset: Validation rows in a fixed order: a batched `tf.data.Dataset` or a
            `keras.utils.PyDataset` of `(x, y)` or `(x, y, w)`, or a tuple of arrays. They stay in
            memory.
        every: After how many epochs to measure. Defaults to `1`.
        ablation: Whether to measure what each expert is worth, too (`rise` in the records), for
            one pass through the towers per expert. Defaults to `False`.
        file: A file that gets one line of JSON per epoch. A training that was killed, and goes on
            by `keras.callbacks.BackupAndRestore` or `initial_epoch`, goes on in it. Put this
            callback before `BackupAndRestore`. `None`: no file.

    Attributes:
        records: The records of all epochs, as in the file; `gates` is `None` in epochs without a
            measurement.
        last: The last measurement, an `analysis.GateUse`; `None` before.

    Raises:
        ValueError: If an argument does not fit; at the begin of training, if the network has no
            gate, rows do not fit the tasks or are shuffled, or the file is of other tasks.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.regression("age")]
        >>> network = mtl.architectures.mmoe(keras.Input((3,)), tasks, num_experts=2)
        >>> network.compile("adam", **mtl.compile_args(tasks))
        >>> x, y = np.eye(8, 3), {"income": np.arange(8) % 2, "age": np.arange(8.0)}
        >>> monitor = GateMonitor(tasks, (x, y))
        >>> history = network.fit(x, y, epochs=2, callbacks=[monitor], verbose=0)
        >>> len(history.history["gate/age_gate/effective"]), monitor.last.rows
        (2, 8)

    Reference: `analysis.gate_use`.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        dataset: Any,
        *,
        every: int = 1,
        ablation: bool = False,
        file: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        self._tasks = check_tasks(tasks)
        self.every = read_whole(every, "every is")
        self.ablation = ablation
        self._dataset = dataset
        self._file = None if file is None else Path(file)
        self._rows: list[Rows] = []
        self._measured: Any = None  # the model whose graph is read
        self._names: list[str] = []
        self._begins = True
        self.records: list[Record] = []
        self.last: GateUse | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Reads the rows, and finds the gates if the model is new."""
        self._begins = True
        self.records = []
        if self._measured is not self.model:
            self._core = read_core(self.model, self._tasks)
            self._reader = make_reader(self._core, ablation=self.ablation)
            self._rows = self._rows or read_fixed(lambda: read_rows(self._dataset, self._tasks))
            # The names of experts come from shapes that the first batch shows.
            first = measure_gates(self._core, self._reader, self._rows[:1])
            self._names = list(_scalars(first))
            self._measured = self.model

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Recalls, before the first epoch of a run that goes on, the epochs before it."""
        # Here, not in `on_train_begin`: only now is it known at which epoch training goes on.
        if not self._begins or self._file is None:
            return
        self._begins = False
        if epoch > 0 and self._file.exists():
            self.records = read_records(self._file, before=epoch)
            self._check_recalled()
        elif epoch > 0:
            warnings.warn(
                f"training goes on at epoch {epoch + 1}, but there is no {str(self._file)!r} of "
                "the epochs before: they are not known.",
                stacklevel=2,
            )
        write_records(self._file, self.records)

    def _check_recalled(self) -> None:
        names = [task.name for task in self._tasks]
        if self.records and self.records[-1]["tasks"] != names:
            raise ValueError(
                f"{str(self._file)!r} is of a run with the tasks {self.records[-1]['tasks']}; this "
                f"one has {names}. Pass another file, or delete it."
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measures if enough epochs have passed, and tells the logs and the file."""
        measured = None
        if (epoch + 1) % self.every == 0:
            measured = self.last = measure_gates(self._core, self._reader, self._rows)
        record = {
            "epoch": epoch,
            "tasks": [task.name for task in self._tasks],
            "gates": None if measured is None else _describe(measured),
            "divergence": None if measured is None else plain(measured.divergence),
        }
        self.records.append(record)
        if self._file is not None:
            append_record(self._file, record)
        if logs is not None:  # always the same names, since CSVLogger reads those of one epoch
            scalars = {} if measured is None else _scalars(measured)
            logs.update({name: scalars.get(name, np.nan) for name in self._names})


def _describe(use: GateUse) -> Record:
    return {
        name: {field: plain(getattr(gate, field)) for field in _FIELDS}
        for name, gate in use.gates.items()
    }


def _scalars(use: GateUse) -> dict[str, float]:
    """Returns the numbers of a measurement that are logged."""
    scalars: dict[str, float] = {}
    if len(use.gates) <= MAX_LOGGED:
        for name, gate in use.gates.items():
            for expert, load in zip(gate.experts, gate.load.tolist(), strict=True):
                scalars[f"gate/{name}/{expert}"] = load
            scalars[f"gate/{name}/effective"] = gate.effective_experts
    effective = [gate.effective_experts for gate in use.gates.values()]
    known = [value for value in effective if np.isfinite(value)]
    scalars["gates/effective/mean"] = float(np.mean(known)) if known else np.nan
    scalars["gates/effective/min"] = min(known, default=np.nan)
    scalars["gates/collapsed"] = float(sum(gate.collapsed for gate in use.gates.values()))
    return scalars
