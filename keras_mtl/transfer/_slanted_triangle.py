"""A learning rate that rises fast and falls slowly."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class SlantedTriangle(keras.optimizers.schedules.LearningRateSchedule):
    """Raises the learning rate for a part of the steps, and lowers it for the rest.

    With t the step, T the number of steps and c = cut T:

        rate(t) = learning_rate (1 + p (ratio - 1)) / ratio
        p = t / c for t < c, and (T - t) / (T - c) behind it

    so it begins and ends at learning_rate / ratio. Choose it to train a loaded trunk with new
    heads: the first steps are small while the heads know nothing. After T steps the rate stays at
    its smallest.

    Args:
        learning_rate: The largest rate.
        steps: T: the number of epochs times that of batches per epoch.
        cut: The share of the steps in which the rate rises. Defaults to `0.1`.
        ratio: The largest rate divided by the smallest. Defaults to `32.0`.

    Raises:
        ValueError: If there is no step, `cut` does not lie between 0 and 1, or `ratio` is below 1.

    Example:
        >>> schedule = SlantedTriangle(1.0, steps=100)
        >>> [f"{float(schedule(step)):.4f}" for step in (0, 5, 10, 55, 100)]
        ['0.0312', '0.5156', '1.0000', '0.5156', '0.0312']

    Reference:
        Howard and Ruder 2018 (ULMFiT), arXiv:1801.06146, equation 3, with c = cut T instead of its
        whole part, and with T - c in place of c (1 / cut - 1), which is the same then.
    """

    def __init__(
        self, learning_rate: float, steps: int, *, cut: float = 0.1, ratio: float = 32.0
    ) -> None:
        super().__init__()
        if steps < 1 or not 0 < cut < 1 or ratio < 1:
            raise ValueError(
                "expected at least one step, a cut between 0 and 1, and a ratio of at least 1; "
                f"received steps={steps!r}, cut={cut!r}, ratio={ratio!r}."
            )
        self.learning_rate = float(learning_rate)
        self.steps = int(steps)
        self.cut = float(cut)
        self.ratio = float(ratio)

    def __call__(self, step: Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        top = self.cut * self.steps
        rising, falling = step / top, (self.steps - step) / (self.steps - top)
        share = ops.clip(ops.minimum(rising, falling), 0.0, 1.0)
        return self.learning_rate * (1.0 + share * (self.ratio - 1.0)) / self.ratio

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal schedule."""
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "cut": self.cut,
            "ratio": self.ratio,
        }
