"""Penalties on the weights of several branches of a graph."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import has_readers, operations_after
from keras_mtl._types import Tensor


class GraphPenalty(keras.layers.Layer):
    """Passes its inputs on, and adds to the loss a penalty on the layers that read them.

    It stands below the branches and finds their layers by name in the graph, so it owns no
    variable, and each branch stays a branch of its own, which can be cut out, saved and served
    without the others. Branches that are not in the graph are left out.

    Args:
        branches: The names of the penalized layers of each branch.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.
    """

    def __init__(self, branches: Sequence[Sequence[str]], **kwargs: Any) -> None:
        # The branches, not this layer, decide to which type features are cast.
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self.branches = [list(names) for names in branches]
        self._metric = Current(self.penalty, name=f"{self.name}_penalty")

    def measure(self, kept: list[int], weights: list[list[keras.Variable]]) -> Tensor:
        """The penalty; subclasses say which.

        Args:
            kept: The positions of the branches that are in the graph.
            weights: Their trainable variables.
        """
        raise NotImplementedError

    def penalty(self) -> Tensor:
        """The penalty for the present weights, a scalar; 0 where the graph holds no branch."""
        behind = self._behind()
        kept = [i for i, names in enumerate(self.branches) if names and {*names} <= behind.keys()]
        weights = [
            [v for name in self.branches[i] for v in behind[name].trainable_variables] for i in kept
        ]
        if not any(weights):
            return keras.ops.zeros(())
        return self.measure(kept, weights)

    def _behind(self) -> dict[str, keras.layers.Layer]:
        """The layers that use this layer's outputs, by name."""
        below = operations_after(self)
        return {layer.name: layer for layer in below if isinstance(layer, keras.layers.Layer)}

    def call(self, inputs: Tensor) -> Tensor:
        """Adds the penalty to the loss; returns the inputs."""
        if has_readers(self):  # not while the graph is being made
            self.add_loss(self.penalty())
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "branches": self.branches}


class Current(keras.metrics.Metric):
    """Reports a value as it is when the logs are read."""

    def __init__(self, value: Callable[[], Tensor], name: str) -> None:
        super().__init__(name=name)
        self._value = value

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the value needs no batches."""

    def result(self) -> Tensor:
        """The value."""
        return self._value()
