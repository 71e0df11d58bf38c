"""Sizes of gradients with respect to the pixels of images."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._keras_internals import run_in_mode
from keras_mtl._types import Tensor
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._core import Core
from keras_mtl.analysis._inside._targets import chosen_entries, explained_number


class GradientMaps:
    """Computes maps of a batch of images for all tasks.

    Args:
        core: The network, with one input.
        targets: By task, what is explained: see `read_targets`.
    """

    def __init__(self, core: Core, targets: Mapping[str, int]) -> None:
        self._targets = targets
        self._predict = keras.Function(list(core.network.inputs), core.outputs)
        self._sizes = tf.function(self._compute, autograph=False, reduce_retracing=True)

    def average(
        self, images: Any, noise: float, samples: int, rng: np.random.Generator
    ) -> dict[str, FloatArray]:
        """Returns the mean map over noisy copies, `(batch, height, width)`, by task.

        Args:
            images: `(batch, height, width, channels)`, float32.
            noise: The standard deviation, as a part of each image's range.
            samples: The number of copies.
            rng: Draws the noise.
        """
        predictions = run_in_mode(self._predict, [tf.constant(images)], False)
        # The class that is predicted for the image as it is.
        entries = {
            name: chosen_entries(predictions[name], target)
            for name, target in self._targets.items()
        }
        axes = (1, 2, 3)
        spread = noise * (images.max(axis=axes, keepdims=True) - images.min(axes, keepdims=True))
        totals = {name: np.zeros(images.shape[:3]) for name in self._targets}
        for _ in range(samples):
            draw = rng.standard_normal(images.shape, dtype=np.float32)
            sizes = self._sizes(tf.constant(images + spread * draw), entries)
            for name, size in sizes.items():
                totals[name] += np.asarray(size, np.float64)
        return {name: total / samples for name, total in totals.items()}

    def _compute(self, images: Tensor, entries: dict[str, Tensor]) -> dict[str, Tensor]:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(images)
            predictions = run_in_mode(self._predict, [images], False)
            numbers = {
                name: explained_number(predictions[name], target, entries[name])
                for name, target in self._targets.items()
            }
        maps = {}
        for name, number in numbers.items():
            gradient = tape.gradient(number, images)
            gradient = tf.zeros_like(images) if gradient is None else gradient
            maps[name] = tf.reduce_max(tf.abs(gradient), axis=-1)
        return maps
