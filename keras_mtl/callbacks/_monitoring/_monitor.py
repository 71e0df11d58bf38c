"""The base of callbacks that look at a network on fixed rows while it trains."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import keras

from keras_mtl._tasks import Task
from keras_mtl.analysis._probing._probe import Probe
from keras_mtl.analysis._probing._read_batches import (
    Element,
    check_several,
    network_of,
    read_pairs,
)
from keras_mtl.callbacks._monitoring._fixed_rows import read_fixed
from keras_mtl.callbacks._monitoring._json_lines import (
    Record,
    append_record,
    plain,
    read_records,
    write_records,
)
from keras_mtl.data._elements._numbers import read_whole


class Monitor(keras.callbacks.Callback):
    """Measures a network every n steps or epochs, and tells the logs and a file at epochs' ends.

    A subclass sets up its measures in `prepare`, takes one in `measure`, adds what belongs to the
    end of an epoch in `end`, and returns its numbers from `summarize`.

    Args:
        tasks: The tasks.
        rows: Batches of rows; two that follow each other are one measurement.
        every: After how many steps or epochs.
        unit: `"epochs"` or `"steps"`.
        file: Where records are kept; `None`: nowhere.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        rows: Any,
        every: int,
        unit: Literal["epochs", "steps"],
        file: str | os.PathLike[str] | None,
    ) -> None:
        super().__init__()
        self._tasks = check_several(tasks, type(self).__name__)
        if unit not in ("epochs", "steps"):
            raise ValueError(f"unit is {unit!r}; expected 'epochs' or 'steps'.")
        self.every = read_whole(every, "every is")
        self.unit = unit
        self._file = None if file is None else Path(file)
        self._rows = rows
        self._pairs: list[tuple[Element, Element]] = []
        self._probe: Probe | None = None
        self._probed: tuple[int, ...] = ()
        self.records: list[Record] = []
        self._begins = True
        self._steps = self._measurements = self._in_epoch = 0

    @property
    def probe(self) -> Probe:
        """The network, as the measures look at it; there is one from the begin of training on."""
        assert self._probe is not None
        return self._probe

    def prepare(self, probe: Probe) -> None:
        """Sets up what the measures need of a network."""

    def measure(self, pair: tuple[Element, Element]) -> None:
        """Takes a measurement on two batches."""

    def end(self, pairs: Sequence[tuple[Element, Element]]) -> None:
        """Measures what is measured once per epoch."""

    def summarize(self) -> Record:
        """Returns the numbers of the measurements since the last call, and forgets them.

        Without measurements, the numbers are NaN.
        """
        raise NotImplementedError

    def scalars(self, record: Record) -> dict[str, float]:
        """Returns the numbers of a record that are logged."""
        raise NotImplementedError

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Reads the rows, and prepares the measures if the network is new or was thawed."""
        self._begins = True
        self.records = []
        self._steps = self._measurements = self._in_epoch = 0
        if not self._pairs:
            network = network_of(self.model, self._tasks)
            self._pairs = read_fixed(lambda: read_pairs(self._rows, self._tasks, network, None))
        # The identities of what is trained: layers may have been frozen since.
        variables = (id(self.model), *map(id, self.model.trainable_variables))
        if self._probe is None or variables != self._probed:
            self._probe, self._probed = Probe(self.model, self._tasks), variables
            self.prepare(self._probe)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Recalls, before the first epoch of a run that goes on, the epochs before it."""
        self._last_batch = -1
        # Here, not in `on_train_begin`: only now is it known at which epoch training goes on.
        if self._begins:
            self._begins = False
            self._recall(epoch)

    def _recall(self, epoch: int) -> None:
        if self._file is None:
            return
        if epoch > 0 and self._file.exists():
            self.records = read_records(self._file, before=epoch)
            if self.records:
                _check_record(self.records[-1], self.probe.names, self._file)
                self._steps = self.records[-1]["step"]
                self._measurements = sum(record["measurements"] for record in self.records)
        elif epoch > 0:
            warnings.warn(
                f"training goes on at epoch {epoch + 1}, but there is no {str(self._file)!r} of "
                "the epochs before: they are not known.",
                stacklevel=2,
            )
        write_records(self._file, self.records)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Measures if enough steps have been taken."""
        # With steps_per_execution, batches are counted by more than one.
        before, self._steps = self._steps, self._steps + batch - self._last_batch
        self._last_batch = batch
        if self.unit == "steps" and self._steps // self.every > before // self.every:
            self._measure_next()

    def _measure_next(self) -> None:
        # The rows take turns, so that their noise differs from measurement to measurement.
        self.measure(self._pairs[self._measurements % len(self._pairs)])
        self._measurements += 1
        self._in_epoch += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Tells the logs and the file."""
        if self.unit == "epochs" and (epoch + 1) % self.every == 0:
            for _ in self._pairs:
                self._measure_next()
        if self._in_epoch:
            self.end(self._pairs)
        summary = self.summarize()
        record = {
            "epoch": epoch,
            "step": self._steps,
            "measurements": self._in_epoch,
            "tasks": list(self.probe.names),
            **{key: plain(value) for key, value in summary.items()},
        }
        self._in_epoch = 0
        self.records.append(record)
        if self._file is not None:
            append_record(self._file, record)
        if logs is not None:  # always the same names, since CSVLogger reads those of one epoch
            logs.update(self.scalars(summary))


def _check_record(record: Record, names: Sequence[str], path: Path) -> None:
    if record["tasks"] != list(names):
        raise ValueError(
            f"{str(path)!r} is of a run with the tasks {record['tasks']}; this one has "
            f"{list(names)}. Pass another file, or delete it."
        )
