"""Initializers of kernels that hold several layers side by side."""

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from keras_mtl._types import Initializer, Tensor

Draw: TypeAlias = Callable[..., Tensor]
"""An initializer as Keras calls it: `draw(shape, dtype=None)`."""


def distinct_initializers(initializer: Initializer, count: int) -> list[Draw]:
    """Returns `count` initializers that draw different values where `initializer` is random.

    A Keras initializer draws the same values at each call, with a seed or without one
    (docs/keras_notes.md, pain 73). An integer seed is spread over the initializers, so that their
    values repeat from run to run. Where the initializer has no seed, or its seed is a
    `keras.random.SeedGenerator`, which draws anew at each call, it is returned `count` times.

    Args:
        initializer: A Keras initializer.
        count: How many initializers to return.
    """
    config = (
        initializer.get_config() if isinstance(initializer, keras.initializers.Initializer) else {}
    )
    seed = config.get("seed")
    if "seed" not in config or not isinstance(seed, int | None):
        return [initializer] * count
    stream = random.Random(seed)
    seeds = [None if seed is None else stream.randrange(2**31) for _ in range(count)]
    return [type(initializer).from_config({**config, "seed": new_seed}) for new_seed in seeds]


def stack_initializers(initializers: Sequence[Draw], axis: int = 1) -> Draw:
    """Returns an initializer of `(in, count, units)` that draws one kernel `(in, units)` at a time.

    A Keras initializer must not see all kernels at once: `VarianceScaling` reads a kernel with
    three axes as a convolution, whose fan-in is `in * count` (docs/keras_notes.md, pain 73).

    Args:
        initializers: One initializer per kernel, `count` in all.
        axis: The position of the axis along which the kernels are stacked. Defaults to `1`; with
            `0` the shape is `(count, in, units)`.
    """

    def initialize(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        kernel_shape = (*shape[:axis], *shape[axis + 1 :])
        return ops.stack([draw(kernel_shape, dtype=dtype) for draw in initializers], axis=axis)

    return initialize
