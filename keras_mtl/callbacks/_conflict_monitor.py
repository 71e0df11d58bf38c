"""Conflict of the tasks' gradients while a network trains."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.analysis._gradient_gramian import GradientGramian
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._probing._gramians import HalfBatches, HalfProducts
from keras_mtl.analysis._probing._means import nan_mean
from keras_mtl.analysis._probing._permute import permute_rows
from keras_mtl.analysis._probing._probe import Probe
from keras_mtl.analysis._probing._read_batches import Element
from keras_mtl.callbacks._monitoring._json_lines import Record
from keras_mtl.callbacks._monitoring._log_names import log_pairs, log_tasks
from keras_mtl.callbacks._monitoring._monitor import Monitor
from keras_mtl.callbacks._monitoring._weights import step_weights


class ConflictMonitor(Monitor):
    """Follows the conflict of the tasks' gradients while a network trains, and changes nothing.

    Every n epochs or steps it measures the gradients of the shared variables on fixed rows, as
    `analysis.gradient_gramian` does: from two batches whose noise is independent, in the mode of
    evaluation. At the end of an epoch the logs get, for tasks a and b,

        cosine/a/b, cosine/mean, cosine/min           cosines of the gradients
        magnitude/a/b, magnitude/mean, magnitude/min  similarity of their lengths
        direction/a                                   cosine with the direction of the step
        noise_scale/a                                 labels that a batch needs to exceed noise
        conflict/rate, conflict/rate_0.1              share of pairs and measurements with a
                                                      cosine below 0 and below -0.1
        conflict/permuted_rate, conflict/permuted_rate_0.1    the same of permuted rows
        tasks/effective, tasks/cooperation            how many tasks the gradients amount to

    Numbers of each pair and each task are logged up to 8 tasks, above that their mean and the
    lowest one. What does not exist is NaN: in epochs without a measurement, for tasks without
    labels, and for tasks whose gradient is below its noise.

    Choose it with any model, with a balancer or without, to see whether tasks conflict, and
    whether the balancer's weights resolve it. Look at `direction/a` first: below 0, the steps raise
    the loss of task a to first order. Compare `conflict/rate` with the rate of permuted rows
    before you call it conflict. Of a `GramianBalancer` this is not the Gramian that the rule saw,
    which is that of one training batch, with the noise that tasks share in it.

    Weights, optimizer, seeds and moving averages are the same with this callback and without it,
    to the last bit. A measurement takes two forward passes and two backward passes per task
    through the shared layers alone, of the rows of `rows`; with `unit="steps"`, take some dozens
    of rows per batch and `every=100`. On several replicas, each measurement takes place once, on
    all of its rows.

    Args:
        tasks: The tasks, at least two, or one with columns.
        rows: Batches `(x, y)` or `(x, y, w)` of training data in a fixed order, at least two,
            such as `train.take(1024).batch(128)` before `train` is shuffled. They stay in memory,
            and measurements take turns on pairs of them.
        every: After how many epochs or steps to measure. Defaults to `1`.
        unit: `"epochs"`: all pairs of batches at the end of an epoch. `"steps"`: one pair after
            every n steps, counted over all epochs. Defaults to `"epochs"`.
        permute: Whether to measure all pairs once more at the end of these epochs with the
            labels of each task in an order of its own. Defaults to `True`.
        file: A file that gets one line of JSON per epoch, with all matrices. A training that was
            killed, and goes on by `keras.callbacks.BackupAndRestore` or `initial_epoch`, goes on
            in it. Put this callback before `BackupAndRestore`. `None`: no file.

    Attributes:
        records: The records of all epochs, as in the file.
        last: The last epoch that was measured, a `GradientGramian`; `None` before.

    Raises:
        ValueError: If an argument does not fit; at the begin of training, if rows do not fit the
            tasks or are shuffled, if tasks share no variable, or the file is of other tasks.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> data = mtl.datasets.synthetic_groups(2, 2, rows=256)
        >>> network = mtl.architectures.hard_sharing(keras.Input((32,)), data.tasks, shared=(8,))
        >>> model = mtl.BalancedModel(network, data.tasks, mtl.balancers.PCGrad())
        >>> model.compile("adam")
        >>> monitor = ConflictMonitor(data.tasks, data.train.take(128).batch(32))
        >>> history = model.fit(data.train.batch(32), callbacks=[monitor], verbose=0)
        >>> len(history.history["cosine/task_0/task_1"]), monitor.last.gramians.shape
        (1, (2, 2, 2))

    Reference: arXiv:2001.06782 for cosines and magnitudes, arXiv:2302.11289 (Recon) for conflict
    rates, arXiv:1812.06162 for noise scales; see `analysis.gramian_statistics`.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        rows: Any,
        *,
        every: int = 1,
        unit: Literal["epochs", "steps"] = "epochs",
        permute: bool = True,
        file: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(tasks, rows, every, unit, file)
        self.permute = permute
        self.last: GradientGramian | None = None
        self._products: list[HalfProducts] = []
        self._weights: list[FloatArray] = []
        self._permuted: list[FloatArray] = []

    def prepare(self, probe: Probe) -> None:
        """Makes the graph that measures."""
        self._halves = HalfBatches(probe)

    def measure(self, pair: tuple[Element, Element]) -> None:
        """Measures the Gramian, and reads the weights of the last step."""
        self._products.append(self._halves(self.probe.values(), *pair))
        self._weights.append(step_weights(self.model, self._tasks))

    def end(self, pairs: Sequence[tuple[Element, Element]]) -> None:
        """Measures permuted rows."""
        rng = np.random.default_rng(len(self.records))  # not the seed of anything else
        values = self.probe.values()
        for pair in pairs if self.permute else ():
            first, second = (permute_rows(half, self._tasks, rng) for half in pair)
            self._permuted.append(self._halves(values, first, second).gramian)

    def summarize(self) -> Record:
        """Returns the statistics of the measurements since the last call."""
        probe = self.probe
        num_tasks = len(probe.names)
        if self._products:
            gramians, noise, losses = (np.stack(p) for p in zip(*self._products, strict=True))
            permuted = np.stack(self._permuted) if self._permuted else gramians[:0]
            measured = GradientGramian(
                probe.names, gramians, noise, losses, probe.num_variables, permuted
            )
            self.last, weights = measured, np.stack(self._weights)
        else:
            nothing = np.full((1, num_tasks, num_tasks), np.nan)
            measured = GradientGramian(
                probe.names, nothing, nothing[0, :1], nothing[0, :1], 1, nothing[:0]
            )
            weights = nothing[0, :1]
        self._products, self._weights, self._permuted = [], [], []
        return _describe(measured, weights)

    def scalars(self, record: Record) -> dict[str, float]:
        """Returns the numbers of a record that are logged."""
        tasks = self.probe.names
        logs = log_pairs("cosine", record["cosines"], tasks)
        logs |= log_pairs("magnitude", record["magnitude_similarities"], tasks)
        logs |= log_tasks("direction", record["direction_cosines"], tasks)
        logs |= log_tasks("noise_scale", record["noise_scales"], tasks)
        for name, rates in (("rate", "conflict_rates"), ("permuted_rate", "permuted_rates")):
            logs[f"conflict/{name}"] = record[rates][0.0]
            logs[f"conflict/{name}_0.1"] = record[rates][0.1]
        logs["tasks/effective"] = record["effective_tasks"]
        logs["tasks/cooperation"] = record["cooperation"]
        return logs


def _describe(measured: GradientGramian, weights: FloatArray) -> Record:
    statistics = measured.statistics(weights)
    return {
        "cosines": statistics.cosines,
        "magnitude_similarities": statistics.magnitude_similarities,
        "bounding_measures": statistics.bounding_measures,
        "norms": statistics.norms,
        "weights": statistics.weights,
        "direction_cosines": statistics.direction_cosines,
        "harm_rates": statistics.harm_rates,
        "conflict_rates": statistics.conflict_rates,
        "chance_rates": statistics.chance_rates,
        "permuted_rates": measured.permuted_rates(),
        "noise_scales": measured.noise_scale().scales,
        "losses": nan_mean(measured.losses),
        "effective_tasks": statistics.effective_tasks,
        "effective_tasks_entropy": statistics.effective_tasks_entropy,
        "cooperation": statistics.cooperation,
    }
