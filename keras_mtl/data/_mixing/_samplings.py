"""Rates of drawing from each set of a mixture, from the sizes of the sets and the epoch."""

import dataclasses

import numpy as np
import numpy.typing as npt

from keras_mtl.data._elements._numbers import read_number, read_whole

Rates = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Temperature:
    """Draws from sets by a power of their sizes, between proportional and uniform.

    p_m is proportional to min(n_m, K)^(1/T), where n_m is the number of examples of set m,
    K the `cap` and T the `temperature`. T = 1 without a cap is proportional, a large T nearly
    uniform. Choose it where proportional rates would starve a small set, and uniform ones would
    repeat it too often.

    Args:
        temperature: T > 0. Defaults to `2.0`.
        cap: K, the size beyond which sets count alike. Defaults to no cap.

    Raises:
        ValueError: If the temperature is not positive, or the cap below 1.

    Example:
        >>> Temperature(2.0).rates(np.array([1000, 100, 10])).round(4).tolist()
        [0.7061, 0.2233, 0.0706]

    Reference: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
    Text-to-Text Transformer", section 3.5.2 (arXiv:1910.10683).
    """

    temperature: float = 2.0
    cap: int | None = None

    def __post_init__(self) -> None:
        subject = "temperature must be a number > 0; received"
        temperature = read_number(self.temperature, subject, low=0, above=True)
        object.__setattr__(self, "temperature", temperature)
        if self.cap is not None:
            cap = read_whole(self.cap, "cap must be at least 1 example; received")
            object.__setattr__(self, "cap", cap)

    def rates(self, sizes: npt.ArrayLike) -> Rates:
        """Returns the rates of sets of these sizes; they sum to 1."""
        return _power(np.minimum(sizes, self.cap or np.inf), 1 / self.temperature)


@dataclasses.dataclass(frozen=True)
class Annealed:
    """Draws in proportion to the sizes at first, and more and more evenly as training goes on.

    In epoch e = 1, ..., E, p_m is proportional to n_m^a with a = 1 - (1 - `final`) (e - 1)/(E - 1):
    large sets shape the shared part early, small ones are not forgotten at the end.

    Args:
        epochs: E, at least 1. The steps of the mixture (`until`) are divided evenly among them.
        final: The exponent in the last epoch. Defaults to `0.2`, as in the paper.

    Raises:
        ValueError: If `epochs` is no whole number of at least 1, or `final` no number.

    Example:
        >>> annealed = Annealed(epochs=10)
        >>> sizes = np.array([1000, 100, 10])
        >>> for epoch in (1, 5, 10):
        ...     annealed.rates(sizes, epoch).round(4).tolist()
        [0.9009, 0.0901, 0.009]
        [0.7824, 0.1774, 0.0402]
        [0.4928, 0.311, 0.1962]

    Reference: Stickland and Murray, "BERT and PALs: Projected Attention Layers for Efficient
    Adaptation in Multi-Task Learning", section 4.1 (arXiv:1902.02671).
    """

    epochs: int
    final: float = 0.2

    def __post_init__(self) -> None:
        epochs = read_whole(self.epochs, "epochs must be at least 1; received")
        object.__setattr__(self, "epochs", epochs)
        object.__setattr__(self, "final", read_number(self.final, "final is"))

    def rates(self, sizes: npt.ArrayLike, epoch: int) -> Rates:
        """Returns the rates in an epoch, counted from 1; they sum to 1."""
        progress = (epoch - 1) / max(self.epochs - 1, 1)
        return _power(sizes, 1 - (1 - self.final) * progress)


def _power(sizes: npt.ArrayLike, exponent: float) -> Rates:
    powers = np.asarray(sizes, np.float64) ** exponent
    return np.asarray(powers / powers.sum())
