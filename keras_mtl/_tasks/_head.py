"""Heads: recipes for the end of a tower, from features to a prediction."""

import dataclasses
from typing import Any, Self

import keras

from keras_mtl._tasks._scale import Scale, check_fitted
from keras_mtl._tasks._scale_layer import InverseScale
from keras_mtl._types import Recipe, Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
@dataclasses.dataclass(frozen=True)
class Head:
    """Ends a tower with one dense map and an activation, applied along the last axis.

    The last axis of the features is the channel axis, so the same head serves features
    `(batch, units)`, sequences `(batch, time, units)` and images `(batch, height, width,
    units)`. The activation runs in float32 whatever the dtype policy is. `sigmoid` and `softmax`
    remember their logits, and the task's loss is computed from those, while the network's
    output (and what is exported) is a probability.

    The factories of `Task` choose a head. Use this class with the constructor of `Task`; for
    more layers than one dense map, give the architecture a `tower`, or `Task` a recipe.

    Args:
        units: Size of the last axis of the prediction.
        activation: Name of a Keras activation. Defaults to `"linear"`.

    Example:
        >>> head = Head(3, "softmax")
        >>> head(keras.Input((8,)), "species").shape
        (None, 3)
    """

    units: int
    activation: str = "linear"

    @property
    def num_logits(self) -> int:
        """The size of the dense map, which some kinds of tasks turn into more or fewer entries."""
        return self.units

    def __call__(self, features: Tensor, name: str = "head") -> Tensor:
        """Maps `features` to a prediction with new layers whose names begin with `name`."""
        logits = keras.layers.Dense(self.num_logits, name=f"{name}_logits")(features)
        return self.activate(logits, name)

    def activate(self, logits: Tensor, name: str = "head") -> Tensor:
        """Maps logits `(batch, ..., num_logits)` to a prediction."""
        activation = keras.layers.Activation(
            self.activation, dtype="float32", name=f"{name}_{self.activation}"
        )
        return activation(logits)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal head."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the head that `get_config` described."""
        return cls(**config)


def attach_head(
    head: Head | Recipe, features: Tensor, name: str, scale: Scale | None = None
) -> Tensor:
    """Ends a tower: the task's head, then a float32 `Identity` layer with the task's name.

    A task with a scale has the inverse of it between the two.
    """
    prediction = head(features, name) if isinstance(head, Head) else head(features)
    return _name_prediction(prediction, name, scale)


def attach_activation(head: Head, logits: Tensor, name: str, scale: Scale | None = None) -> Tensor:
    """Ends a tower as `attach_head` does, but from logits that are computed already."""
    return _name_prediction(head.activate(logits, name), name, scale)


def _name_prediction(prediction: Tensor, name: str, scale: Scale | None) -> Tensor:
    if scale is not None:
        check_fitted(name, scale)
        prediction = InverseScale(scale, dtype="float32", name=f"{name}_scale")(prediction)
    # Keras names an output after its layer. The tensor stays the same, with its mask and logits.
    return keras.layers.Identity(dtype="float32", name=name)(prediction)
