"""What units of some tensors are worth to tasks: products of activations and gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl._keras_internals import mask_of, with_mask
from keras_mtl._types import Tensor
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._core import Core
from keras_mtl.analysis._inside._cut import Cut
from keras_mtl.analysis._inside._losses import LossSums
from keras_mtl.analysis._inside._rows import Rows
from keras_mtl.analysis._inside._shared_features import unit_axes


class Units:
    """Computes importances of units, and losses without some of them.

    Args:
        core: The network.
        tensors: Where the units are.
    """

    def __init__(self, core: Core, tensors: Sequence[Tensor]) -> None:
        self._core = core
        self._num_tensors = len(tensors)
        self._axes = [unit_axes(tensor) for tensor in tensors]
        self._sizes = [
            int(np.prod(t.shape[-axes:])) for t, axes in zip(tensors, self._axes, strict=True)
        ]
        self._cut = Cut(core, tensors)
        self._losses = LossSums(core.tasks)
        self._gradients = tf.function(self._compute, autograph=False, reduce_retracing=True)
        self._ablated = tf.function(self._without, autograph=False, reduce_retracing=True)
        self._totals = np.zeros((len(core.tasks), sum(self._sizes)))
        self._counts = np.zeros(len(core.tasks))

    def add(self, rows: Rows) -> None:
        """Adds the products of a batch."""
        values = self._core.read(rows.x)
        tensors = self._cut.before(values)
        masks = [mask_of(tensor) for tensor in tensors]
        products, counts = self._gradients(tensors, masks, values, rows.labels, rows.weights)
        self._totals += np.asarray(products, np.float64)
        self._counts += np.asarray(counts, np.float64)

    def importance(self) -> FloatArray:
        """Returns the mean over labels of |a dL/da|, `[K, units]`; NaN without labels."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._totals / self._counts[:, None])

    def losses(self, batches: Sequence[Rows], dropped: Sequence[Any]) -> FloatArray:
        """Returns the loss of each task without some units, `[len(dropped), K]`.

        Args:
            batches: All rows.
            dropped: For each row of the result, which units are set to 0, booleans `(units,)`.
        """
        for rows in batches:
            values = self._core.read(rows.x)
            tensors = self._cut.before(values)
            masks = [mask_of(tensor) for tensor in tensors]
            for i, units in enumerate(dropped):
                kept = tf.constant(~np.asarray(units), tf.float32)
                sums = self._ablated(tensors, masks, values, rows.labels, rows.weights, kept)
                self._losses.add(sums, str(i))
        return np.array(
            [
                [self._losses.mean(task.name, str(i)) for task in self._core.tasks]
                for i in range(len(dropped))
            ]
        )

    def _predict(self, tensors: Any, masks: Any, values: Any) -> dict[str, Tensor]:
        at_cut = [with_mask(tensor, mask) for tensor, mask in zip(tensors, masks, strict=True)]
        return self._cut.after(at_cut, values)

    def _compute(self, tensors: Any, masks: Any, values: Any, labels: Any, weights: Any) -> Any:
        watched = [tf.identity(tensor) for tensor in tensors]
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(watched[: self._num_tensors])
            predictions = self._predict(watched, masks, values)
            sums = self._losses.of_batch(predictions, labels, weights)
            totals = {name: tf.reduce_sum(pair[0]) for name, pair in sums.items()}
        counts = tf.stack([tf.reduce_sum(pair[1]) for pair in sums.values()])
        products = []
        for total in totals.values():
            gradients = tape.gradient(total, watched[: self._num_tensors])
            products.append(
                tf.concat(
                    [
                        _by_unit(activation, gradient, axes)
                        for activation, gradient, axes in zip(
                            watched, gradients, self._axes, strict=False
                        )
                    ],
                    axis=0,
                )
            )
        return tf.stack(products), counts

    def _without(
        self, tensors: Any, masks: Any, values: Any, labels: Any, weights: Any, kept: Tensor
    ) -> Any:
        parts = tf.split(kept, self._sizes)
        left = [
            tensor * tf.cast(tf.reshape(part, tensor.shape[-axes:]), tensor.dtype)
            for tensor, part, axes in zip(tensors, parts, self._axes, strict=False)
        ]
        predictions = self._predict([*left, *tensors[len(left) :]], masks, values)
        return self._losses.of_batch(predictions, labels, weights)


def _by_unit(activation: Tensor, gradient: Tensor | None, axes: int) -> Tensor:
    """Returns the sum over rows (and positions) of |a dL/da|, `[units]`, float32."""
    size = int(np.prod(activation.shape[-axes:]))
    if gradient is None:  # the task does not read the tensor
        return tf.zeros(size)
    product = tf.abs(tf.cast(activation, tf.float32) * tf.cast(gradient, tf.float32))
    return tf.reduce_sum(tf.reshape(product, (-1, size)), axis=0)
