"""Starting values of kernels that hold several layers side by side."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor

Draw = Callable[..., Tensor]


def spread(initializer: Any, count: int) -> list[Draw]:
    """`count` initializers that draw different values where `initializer` is random.

    A Keras initializer draws the same values at each call, with a seed or without one.
    """
    config = (
        initializer.get_config() if isinstance(initializer, keras.initializers.Initializer) else {}
    )
    seed = config.get("seed")
    if "seed" not in config or not isinstance(seed, int | None):
        return [initializer] * count
    stream = random.Random(seed)
    seeds = [None if seed is None else stream.randrange(2**31) for _ in range(count)]
    return [type(initializer).from_config({**config, "seed": each}) for each in seeds]


def stacked(initializers: Sequence[Draw], axis: int = 1) -> Draw:
    """An initializer of `(in, count, units)` that sees one `(in, units)` at a time.

    Args:
        initializers: One for each of the kernels.
        axis: Where the axis of the kernels stands: 0 for `(count, in, units)`.

    `VarianceScaling` reads a rank-3 kernel as a convolution, and its fan-in as in x count.
    """

    def initialize(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        own = (*shape[:axis], *shape[axis + 1 :])
        return ops.stack([draw(own, dtype=dtype) for draw in initializers], axis=axis)

    return initialize
