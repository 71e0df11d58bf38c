"""Penalties on the variables of several branches of a graph."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_mtl._backend import layers_can_measure
from keras_mtl._keras_internals import has_readers, operations_after
from keras_mtl._types import Tensor


class GraphPenalty(keras.layers.Layer):
    """Passes its inputs on, and adds a penalty on the layers that read them to the loss.

    The layer stands before the branches and finds their layers by name in the graph. So it owns no
    variable, and each branch stays separate: it can be cut out, saved and served without the
    other branches. Branches that are not in the graph are left out of the penalty. Its value is
    logged as `<name>_penalty`, but not under JAX.

    Args:
        branches: For each branch, the names of its penalized layers.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.
    """

    def __init__(self, branches: Sequence[Sequence[str]], **kwargs: Any) -> None:
        # The branches, not this layer, decide to which dtype features are cast
        # (docs/keras_notes.md, pain 88).
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self.branches = [list(names) for names in branches]
        if layers_can_measure():  # docs/keras_notes.md, 142
            self._metric = CurrentValue(self.penalty, name=f"{self.name}_penalty")

    def measure(self, kept: list[int], variables: list[list[keras.Variable]]) -> Tensor:
        """Computes the penalty, a scalar; each subclass defines its own.

        Args:
            kept: The positions in `branches` of the branches that are in the graph.
            variables: The trainable variables of each of these branches.
        """
        raise NotImplementedError

    def penalty(self) -> Tensor:
        """Computes the penalty for the current variables, a scalar; 0 without a branch."""
        layers_after = self._layers_after()
        kept = [
            i for i, names in enumerate(self.branches) if names and {*names} <= layers_after.keys()
        ]
        variables = [
            [v for name in self.branches[i] for v in layers_after[name].trainable_variables]
            for i in kept
        ]
        if not any(variables):
            return keras.ops.zeros(())
        return self.measure(kept, variables)

    def _layers_after(self) -> dict[str, keras.layers.Layer]:
        """Finds the layers that use this layer's outputs, at any distance, by name."""
        operations = operations_after(self)
        return {layer.name: layer for layer in operations if isinstance(layer, keras.layers.Layer)}

    def call(self, inputs: Tensor) -> Tensor:
        """Adds the penalty to the loss, and returns the inputs."""
        if has_readers(self):  # not while the graph is being made
            self.add_loss(self.penalty())
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "branches": self.branches}


class CurrentValue(keras.metrics.Metric):
    """Reports the value of a function at the time when the logs are read.

    Args:
        value: Returns the value, a scalar.
        name: Name of the metric.
    """

    def __init__(self, value: Callable[[], Tensor], name: str) -> None:
        super().__init__(name=name)
        self._value = value

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the value does not depend on batches."""

    def result(self) -> Tensor:
        """Returns the current value."""
        return self._value()
