"""Random maps, and their convolutions computed with SciPy."""

import numpy as np
from numpy.typing import NDArray
from scipy import signal


def draw(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Draws standard normal values of a shape."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def convolve(maps: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float64]:
    """Computes the zero-padded correlation, channel by channel, in float64."""
    result = np.zeros((*maps.shape[:-1], kernel.shape[-1]))
    for b, i, o in np.ndindex(maps.shape[0], *kernel.shape[2:]):
        result[b, ..., o] += signal.correlate2d(maps[b, ..., i], kernel[..., i, o], "same")
    return result
