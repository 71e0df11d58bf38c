"""Inner products of the gradients of two batches, step by step."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._probing._graph import in_graph
from keras_mtl.analysis._probing._probe import Probe, Values
from keras_mtl.analysis._probing._read_batches import Element
from keras_mtl.training._gradients import gramian


class HalfProducts(NamedTuple):
    """Holds what two half batches a and b tell of the gradients; NaN for tasks without labels.

    Attributes:
        gramian: (g_i^a . g_j^b + g_i^b . g_j^a) / 2, `[K, K]`.
        noise: |g^a - g^b|^2 / (1/n_a + 1/n_b), with n labels in each half, `[K]`: its mean is the
            trace of the covariance of the gradient of one label.
        losses: The mean losses of both halves, `[K]`.
    """

    gramian: FloatArray
    noise: FloatArray
    losses: FloatArray


class HalfBatches:
    """Compares the gradients of two half batches.

    Args:
        probe: The network.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    @functools.cached_property
    def _products(self) -> Callable[[Values, Element, Element], Any]:
        def products(values: Values, first: Element, second: Element) -> tuple[Tensor, ...]:
            a, b = (self._probe.gradients_in_graph(values, half) for half in (first, second))
            differences = [one - two for one, two in zip(a.stacked, b.stacked, strict=True)]
            lengths = tf.add_n([tf.reduce_sum(rows**2, axis=1) for rows in differences])
            losses = (a.losses + b.losses) / 2
            return (
                gramian(a.stacked, b.stacked),
                lengths,
                losses,
                a.counts,
                b.counts,
                (a.active & b.active),
            )

        return in_graph(products)

    def __call__(self, values: Values, first: Element, second: Element) -> HalfProducts:
        """Returns the products of the gradients of two halves."""
        arrays = [tensor.numpy() for tensor in self._products(values, first, second)]
        product, lengths, losses, of_first, of_second = (a.astype(np.float64) for a in arrays[:5])
        absent = ~arrays[5]
        symmetric = (product + product.T) / 2
        symmetric[absent[:, None] | absent[None, :]] = np.nan
        with np.errstate(divide="ignore", invalid="ignore"):
            noise = lengths / (1 / of_first + 1 / of_second)
        noise[absent] = np.nan
        return HalfProducts(symmetric, noise, losses)
