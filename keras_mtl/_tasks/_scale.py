"""The scale of real-valued labels: the unit in which a network learns them."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras
import numpy as np
from keras import ops

from keras_mtl._types import Tensor

Method = Literal["standard", "robust", "minmax", "log", "log1p"]
"""How a scale is fitted; `Scale` documents the five."""

# The smallest label of a method. Float32 has no smaller positive number than this one.
_LOWEST = {"log": float(np.finfo("float32").tiny), "log1p": 0.0}


@keras.saving.register_keras_serializable(package="keras_mtl")
@dataclasses.dataclass(frozen=True)
class Scale:
    """Maps labels to the unit in which a network learns them, and predictions back.

    With a label y, the network learns

        z = (t(y) - center) / spread

    and the output of the network is the inverse of its z, in the unit of y. Losses compare values
    of z, metrics values of y.

    | method | t(y) | center and spread, over the valid labels of the training data |
    |---|---|---|
    | `"standard"` | y | mean and standard deviation |
    | `"robust"` | y | median, and interquartile range / 1.349: of normal labels their deviation |
    | `"minmax"` | y | smallest label, and largest minus smallest: z lies between 0 and 1 |
    | `"log"` | log y, for y > 0 | mean and standard deviation of log y |
    | `"log1p"` | log(1 + y), for y >= 0 | mean and standard deviation of log(1 + y) |

    Choose `"standard"` first. Choose `"robust"` where a few labels lie far from all others, and
    `"log"` (or `"log1p"`, with zeros among the labels) where an error of 10 % matters as much in
    small labels as in large ones: prices, durations. A squared error of logarithms makes the
    prediction a geometric mean, which lies below the mean: where sums of predictions matter,
    choose `"standard"`. `"minmax"` depends on two labels alone.

    Args:
        method: One of the five.
        center: A number, or one number per entry of the last axis of the labels (per unit, or
            per column). Defaults to `None`: `keras_mtl.data.fit_scales` or `Task.fit_scale` finds
            it.
        spread: As `center`, above 0. Give both or none.

    Raises:
        ValueError: If the method is unknown, one of two numbers is missing, a number is not
            finite, or a spread is not above 0.

    Example:
        >>> scale = Scale("standard", center=40.0, spread=10.0)
        >>> float(scale.forward(60.0)), float(scale.inverse(2.0))
        (2.0, 60.0)
    """

    method: str
    center: float | Sequence[float] | None = None
    spread: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(
                f"scale is one of {list(get_args(Method))}, or a keras_mtl.Scale; received "
                f"{self.method!r}"
            )
        if (self.center is None) != (self.spread is None):
            raise ValueError(
                f"a scale needs a center and a spread, or none of the two; received "
                f"center={self.center!r}, spread={self.spread!r}"
            )
        if self.center is None or self.spread is None:
            return
        center, spread = _read_numbers(self.center), _read_numbers(self.spread)
        if len(center) != len(spread) or not np.isfinite([*center, *spread]).all():
            raise ValueError(
                "center and spread of a scale are as many finite numbers each; received "
                f"{self.center!r} and {self.spread!r}"
            )
        if min(spread) <= 0.0:
            raise ValueError(f"the spread of a scale is above 0; received {self.spread!r}")
        # Tuples, so that equal scales are equal, and can be hashed.
        object.__setattr__(self, "center", center)
        object.__setattr__(self, "spread", spread)

    @property
    def is_fitted(self) -> bool:
        """Whether center and spread are known."""
        return self.center is not None

    @property
    def size(self) -> int:
        """The number of entries with a center of their own; 1 also where there is none yet."""
        return len(self.center) if isinstance(self.center, tuple) else 1

    @property
    def lowest(self) -> float | None:
        """The smallest label that the scale takes; `None` if it takes all."""
        return _LOWEST.get(self.method)

    def forward(self, labels: Tensor) -> Tensor:
        """Returns `z` for labels `y`; where there are several centers, along the last axis."""
        labels = _as_float(labels)
        center, spread = self._constants(labels.dtype)
        if self.method == "log":
            labels = ops.log(labels)
        elif self.method == "log1p":
            labels = ops.log1p(labels)
        return (labels - center) / spread

    def inverse(self, scaled: Tensor) -> Tensor:
        """Returns `y` for `z`, the inverse of `forward`."""
        scaled = _as_float(scaled)
        center, spread = self._constants(scaled.dtype)
        values = center + spread * scaled
        if self.method == "log":
            return ops.exp(values)
        return ops.expm1(values) if self.method == "log1p" else values

    def _constants(self, dtype: Any) -> tuple[Tensor, Tensor]:
        """Returns center and spread, each one number or `[entries]`."""
        if not self.is_fitted:
            raise ValueError(
                f"the scale {self.method!r} has no center and no spread yet; "
                "keras_mtl.data.fit_scales(training_data, tasks) finds them"
            )
        center, spread = np.asarray(self.center), np.asarray(self.spread)
        if self.size == 1:
            center, spread = center[0], spread[0]
        return ops.convert_to_tensor(center, dtype), ops.convert_to_tensor(spread, dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal scale."""
        return {
            "method": self.method,
            "center": list(self.center) if isinstance(self.center, tuple) else None,
            "spread": list(self.spread) if isinstance(self.spread, tuple) else None,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Scale":
        """Builds the scale that `get_config` described."""
        return cls(**config)


def read_scale(task: str, scale: Any) -> Scale | None:
    """Returns the scale that a name stands for, or the scale itself.

    Raises:
        ValueError: If the name is unknown, or `scale` is neither a name nor a scale nor `None`.
            The message names the task.
    """
    if scale is None or isinstance(scale, Scale):
        return scale
    try:
        return Scale(scale)
    except ValueError as error:
        raise ValueError(f"task {task!r}: {error}.") from error


def check_fitted(name: str, scale: Scale | None) -> None:
    """Checks that a task has no scale, or a fitted one.

    Raises:
        ValueError: If its scale is not fitted; the message says what to call.
    """
    if scale is not None and not scale.is_fitted:
        raise ValueError(
            f"task {name!r}: its scale {scale.method!r} is not fitted. Call "
            "tasks = keras_mtl.data.fit_scales(training_data, tasks) first (for one task, "
            "task = task.fit_scale(labels)), and build and train the network with the result."
        )


def _read_numbers(value: Any) -> tuple[float, ...]:
    """Returns one number or several as a tuple of Python's floats."""
    return tuple(np.asarray(value, np.float64).reshape(-1).tolist())


def _as_float(values: Any) -> Tensor:
    """Returns a tensor of floats: whole numbers become those of `keras.config.floatx()`."""
    tensor = ops.convert_to_tensor(values)
    if keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype)):
        return tensor
    return ops.cast(tensor, keras.config.floatx())
