"""A rule as the last layer of a network."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.rules._places import Place, replaced, value_at
from keras_mtl.rules._rule import Rule


@keras.saving.register_keras_serializable(package="keras_mtl")
class RuleProjection(keras.layers.Layer):
    """Changes the outputs that a rule reads to the nearest ones by which it holds.

    Args:
        rule: The rule.
        places: The entries that it reads, as `Rule.places` holds them. Defaults to `None`: those
            that the rule knows.
        name: Optional name.
    """

    def __init__(
        self,
        rule: Rule,
        places: Sequence[Sequence[Any]] | None = None,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **{**kwargs, "dtype": "float32"})
        if places is not None:
            rule.stand_at([Place(*place) for place in places])
        self._rule = rule
        self.places = rule.places
        self.tasks = tuple(dict.fromkeys(place.task for place in self.places))
        self.built = True

    def call(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Returns the changed outputs, in the order of `tasks`."""
        by_task = dict(zip(self.tasks, outputs, strict=True))
        values = self._rule.obey([value_at(place, by_task) for place in self.places])
        for task in self.tasks:
            entries = [
                (place.entry, value)
                for place, value in zip(self.places, values, strict=True)
                if place.task == task
            ]
            output = by_task[task]
            if len(output.shape) == 1:
                by_task[task] = entries[0][1]
            elif output.shape[-1] == 1:
                by_task[task] = ops.expand_dims(entries[0][1], axis=-1)
            else:
                by_task[task] = replaced(output, *zip(*entries, strict=True))
        return list(by_task.values())

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shapes of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        config = super().get_config()
        del config["dtype"]
        rule = keras.saving.serialize_keras_object(self._rule)
        return {**config, "rule": rule, "places": [list(place) for place in self.places]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RuleProjection":
        """Makes the layer that `get_config` described."""
        rule = keras.saving.deserialize_keras_object(config["rule"])
        return cls(**{**config, "rule": rule})
