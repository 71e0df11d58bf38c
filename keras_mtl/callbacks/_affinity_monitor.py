"""Affinities and relations of tasks, averaged over a training."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.analysis._affinity import Affinity
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._probing._affinities import (
    Affinities,
    StepAffinities,
    choose_method,
)
from keras_mtl.analysis._probing._look_ahead import LookAhead, optimizer_name
from keras_mtl.analysis._probing._means import nan_mean
from keras_mtl.analysis._probing._probe import Probe
from keras_mtl.analysis._probing._read_batches import Element, loss_names
from keras_mtl.analysis._probing._relations import RelationSums
from keras_mtl.analysis._relatedness import Relatedness
from keras_mtl.callbacks._monitoring._json_lines import Record
from keras_mtl.callbacks._monitoring._log_names import log_pairs
from keras_mtl.callbacks._monitoring._monitor import Monitor


class AffinityMonitor(Monitor):
    """Averages affinities and relatedness of the tasks over a training, and changes nothing.

    Every n epochs or steps it measures on fixed rows what a step along the gradient of each task
    does to the losses of all tasks, as `analysis.affinity` does, and from the same gradients which
    tasks use the same parts of the network, as `analysis.relatedness` does. At the end of an epoch
    the logs get, for tasks a and b,

        affinity/a/b, affinity/mean, affinity/min     marginal affinity of task a to task b
        relatedness/a/b, .../mean, .../min            relatedness by the diagonal of the Fisher
                                                      information

    for each pair up to 8 tasks, above that the mean and the lowest one alone. What does not exist
    is NaN: in epochs without a measurement, and for tasks without labels.

    Choose it to group tasks by one training of all of them together, as TAG does:
    `analysis.group_tasks(monitor.affinity.standardized, ...)`, or with `monitor.relatedness.fisher`
    where heads differ. Averages over a training are much less noisy than a single look at its end.

    Weights, optimizer, seeds and moving averages are the same with this callback and without it,
    to the last bit. A measurement by looking ahead takes K + 1 steps of the optimizer and forward
    passes beside K backward passes through the shared layers; to first order, no further forward
    passes.

    Args:
        tasks: The tasks, at least two, or one with columns.
        rows: Batches `(x, y)` or `(x, y, w)` of training data in a fixed order, at least two, as
            for `ConflictMonitor`. Measurements take turns on pairs of them; with `on="same"` the
            second batch of a pair is not read.
        every: After how many epochs or steps to measure. Defaults to `1`.
        unit: `"epochs"` (all pairs of batches at the end of an epoch) or `"steps"` (one pair).
            The paper measures every 10 steps. Defaults to `"epochs"`.
        on: Whether losses are those of the `"same"` batch as the gradients, as in the paper, or
            of the `"other"` one of the pair, whose noise is independent. Defaults to `"other"`.
        method: `"look ahead"` or `"first order"`. Defaults to `None`: the first up to 16 losses.
        file: A file that gets one line of JSON per epoch, as for `ConflictMonitor`. The means go
            on from it after a killed run.

    Attributes:
        records: The records of all epochs, as in the file.
        affinity: The means over the training, an `Affinity`.
        relatedness: The means over the training, a `Relatedness`; each epoch counts by its
            measurements.

    Raises:
        ValueError: If an argument does not fit; at the begin of training, as `ConflictMonitor`, and
            if the optimizer gathers gradients over several steps.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> data = mtl.datasets.synthetic_groups(3, 2, rows=256)
        >>> network = mtl.architectures.hard_sharing(keras.Input((32,)), data.tasks, shared=(8,))
        >>> network.compile("adam", **mtl.compile_args(data.tasks))
        >>> monitor = AffinityMonitor(
        ...     data.tasks, data.train.take(128).batch(64), every=2, unit="steps"
        ... )
        >>> batches = data.train.batch(32)
        >>> history = network.fit(batches, shuffle=False, callbacks=[monitor], verbose=0)
        >>> monitor.affinity.steps, monitor.relatedness.fisher.shape
        (4, (3, 3))

    Reference: Fifty et al. 2021 (TAG), arXiv:2109.04617; see `analysis.affinity` for differences.
    There, each training batch measures itself; here, fixed rows do.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        rows: Any,
        *,
        every: int = 1,
        unit: Literal["epochs", "steps"] = "epochs",
        on: Literal["same", "other"] = "other",
        method: Literal["look ahead", "first order"] | None = None,
        file: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(tasks, rows, every, unit, file)
        if on not in ("same", "other"):
            raise ValueError(f"on is {on!r}; expected 'same' or 'other'.")
        self.on = on
        self.method = choose_method(method, len(loss_names(self._tasks)))
        self._affinities: Affinities | None = None
        self._results: list[StepAffinities] = []

    def prepare(self, probe: Probe) -> None:
        """Forgets the graphs of another network; the first measurement makes them."""
        self._affinities = None
        self._relations = RelationSums(probe)
        self._results = []

    def measure(self, pair: tuple[Element, Element]) -> None:
        """Measures affinities and relations."""
        first, second = pair
        values = self.probe.values()
        gradients = self._relations.add(values, first)  # which tells what is shared
        if self._affinities is None:
            look_ahead = LookAhead(self.model, self.probe.shared)
            self._affinities = Affinities(self.probe, look_ahead, self.method)
        judges = first if self.on == "same" else second
        self._results.append(self._affinities(values, first, judges, gradients))

    def summarize(self) -> Record:
        """Returns the means of the measurements since the last call."""
        num_tasks = len(self.probe.names)
        nothing = np.full((num_tasks, num_tasks), np.nan)
        benefit, marginal, losses = (
            [nan_mean(np.stack(parts)) for parts in zip(*self._results, strict=True)]
            if self._results
            else (nothing, nothing, nothing[0])
        )
        relations = self._relations
        is_measured = bool(relations.steps)
        self._results = []
        record = {
            "benefit": benefit,
            "marginal": marginal,
            "losses": losses,
            "cosines": relations.cosines() if is_measured else nothing,
            "fisher": relations.fisher() if is_measured else nothing,
            "units": relations.units() if is_measured else nothing,
        }
        relations.reset()
        return record

    def scalars(self, record: Record) -> dict[str, float]:
        """Returns the numbers of a record that are logged."""
        tasks = self.probe.names
        logs = log_pairs("affinity", record["marginal"], tasks, ordered=True)
        return logs | log_pairs("relatedness", record["fisher"], tasks)

    @property
    def affinity(self) -> Affinity:
        """The means of the affinities over the training."""
        names = self._names()
        return Affinity(
            names,
            benefit=self._mean("benefit"),
            marginal=self._mean("marginal"),
            losses=self._mean("losses"),
            steps=self._measurements,
            method=self.method,
            on=self.on,
            optimizer=optimizer_name(self.model),
            seconds=np.nan,
        )

    @property
    def relatedness(self) -> Relatedness:
        """The means of the relations over the training."""
        return Relatedness(
            self._names(),
            cosines=self._mean("cosines"),
            fisher=self._mean("fisher"),
            units=self._mean("units"),
            permuted=np.nan,
            steps=self._measurements,
        )

    def _names(self) -> tuple[str, ...]:
        if not self._measurements:
            raise ValueError(
                "nothing has been measured yet. Train with this callback, for at least as many "
                f"{self.unit} as every={self.every} says."
            )
        return self.probe.names

    def _mean(self, key: str) -> FloatArray:
        """Returns the mean over the epochs, by their numbers of measurements."""
        values = np.array([record[key] for record in self.records], np.float64)
        counts = np.array([record["measurements"] for record in self.records], np.float64)
        counts = counts.reshape(-1, *[1] * (values.ndim - 1)) * ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sum(np.nan_to_num(values) * counts, 0) / np.sum(counts, 0))
