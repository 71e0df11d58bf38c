"""Relations of tasks that do not depend on signs, summed over batches."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._probing._graph import in_graph
from keras_mtl.analysis._probing._probe import Gradients, Probe, Values
from keras_mtl.analysis._probing._read_batches import Element
from keras_mtl.training._gradients import gramian


class RelationSums:
    """Sums what gradients of batches tell of the relations of tasks.

    Args:
        probe: The network.

    Attributes:
        steps: The number of batches.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.reset()

    def reset(self) -> None:
        """Forgets all batches."""
        num_tasks = len(self._probe.names)
        self.steps = 0
        self._cosines = np.zeros((num_tasks, num_tasks))
        self._counts = np.zeros((num_tasks, num_tasks))
        self._squares: list[Tensor] = []
        self._units = np.zeros((num_tasks, 1))

    @functools.cached_property
    def _measure(self) -> Callable[[Values, Element], tuple[Gradients, Tensor]]:
        def measure(values: Values, batch: Element) -> tuple[Gradients, Tensor]:
            gradients = self._probe.gradients_in_graph(values, batch, units=True)
            return gradients, gramian(gradients.stacked)

        return in_graph(measure)

    def add(self, values: Values, batch: Element) -> Gradients:
        """Adds a batch; returns its gradients."""
        gradients, products = self._measure(values, batch)
        self.steps += 1
        self._add_cosines(np.asarray(products, np.float64))
        squares = [rows**2 for rows in gradients.stacked]
        if self._squares:
            squares = [old + new for old, new in zip(self._squares, squares, strict=True)]
        self._squares = squares
        self._units = self._units + np.asarray(gradients.units, np.float64)
        return gradients

    def add_permuted(self, values: Values, batch: Element) -> None:
        """Adds the cosines of a batch alone."""
        _, products = self._measure(values, batch)
        self.steps += 1
        self._add_cosines(np.asarray(products, np.float64))

    def _add_cosines(self, products: FloatArray) -> None:
        lengths = np.sqrt(np.diagonal(products))
        pairs = np.outer(lengths, lengths)
        present = pairs > 0
        self._cosines[present] += np.abs(products[present]) / pairs[present]
        self._counts += present

    def cosines(self) -> FloatArray:
        """Returns the means of absolute cosines, `[K, K]`, NaN without any."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self._cosines / self._counts)

    def fisher(self) -> FloatArray:
        """Returns the cosines of the square roots of the sums of squares, `[K, K]`."""
        roots = [tf.sqrt(squares) for squares in self._squares]
        return _cosines_of(np.asarray(gramian(roots), np.float64))

    def units(self) -> FloatArray:
        """Returns the cosines of the importance of the units at which tasks part, `[K, K]`."""
        return _cosines_of(self._units @ self._units.T)


def _cosines_of(products: FloatArray) -> FloatArray:
    lengths = np.sqrt(np.diagonal(products))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(products / np.outer(lengths, lengths))
