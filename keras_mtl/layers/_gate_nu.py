"""The gate unit of PEPNet (Chang et al., 2023)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._initializers import distinct_initializers
from keras_mtl.layers._narrowing import Values, built_shape, narrowed


@keras.saving.register_keras_serializable(package="keras_mtl")
class GateNU(keras.layers.Layer):
    """Turns prior information into factors between 0 and `gamma`, one for each unit.

    For prior information `x`, `x' = relu(x W + b)` and the factors are
    `d = gamma * sigmoid(x' W' + b')`: with `gamma = 2` a factor can reduce a unit as well as
    raise it.

    Args:
        units: The number of factors, which is the number of units that they scale.
        hidden_units: Size of `x'`. Defaults to the number of factors, of all gates together.
        gamma: The largest factor. Defaults to `2.0`.
        num_gates: The number of gates `(units,)` that the layer computes together, on an axis of
            their own. Defaults to a single gate without such an axis.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        prior: Floats `(batch, ..., in)`. A mask is passed on.

    Returns:
        Factors `(batch, ..., units)`, or `(batch, ..., num_gates, units)`.

    Example:
        >>> GateNU(6)(keras.Input((4,))).shape
        (None, 6)

    Reference:
        Chang et al., PEPNet: Parameter and Embedding Personalized Network for Infusing with
        Personalized Prior Information, KDD 2023, arXiv:2302.01115.
    """

    def __init__(
        self,
        units: int,
        hidden_units: int | None = None,
        gamma: float = 2.0,
        num_gates: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = units
        self.hidden_units = hidden_units
        self.gamma = gamma
        self.num_gates = num_gates

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the kernels and biases of the two dense maps."""
        size = self.units * (self.num_gates or 1)
        hidden = self.hidden_units or size
        draws = distinct_initializers(keras.initializers.GlorotUniform(), 2)
        self.hidden_kernel = self.add_weight(
            (input_shape[-1], hidden), draws[0], name="hidden_kernel"
        )
        self.hidden_bias = self.add_weight((hidden,), "zeros", name="hidden_bias")
        self.kernel = self.add_weight((hidden, size), draws[1], name="kernel")
        self.bias = self.add_weight((size,), "zeros", name="bias")

    def call(self, prior: Tensor) -> Tensor:
        """Computes `d = gamma * sigmoid(x' W' + b')` for prior information `(batch, ..., in)`."""
        hidden = ops.relu(ops.matmul(prior, self.hidden_kernel) + self.hidden_bias)
        factors = self.gamma * ops.sigmoid(ops.matmul(hidden, self.kernel) + self.bias)
        if self.num_gates is None:
            return factors
        # batch, ..., num_gates * units becomes batch, ..., num_gates, units.
        return ops.reshape(factors, (*ops.shape(prior)[:-1], self.num_gates, self.units))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., units)`, or `(batch, ..., num_gates, units)`."""
        gates = () if self.num_gates is None else (self.num_gates,)
        return (*input_shape[:-1], *gates, self.units)

    @property
    def branched_inputs(self) -> tuple[int, ...] | None:
        """No inputs, since all gates read the same; `None` for a single gate without an axis."""
        return None if self.num_gates is None else ()

    def narrow(self, indices: Sequence[int]) -> Any:
        """Returns a copy of the layer with some of the gates, over the same hidden units."""

        def cut(name: str, values: Values) -> Values:
            if name not in ("kernel", "bias"):
                return values
            by_gate = values.reshape(*values.shape[:-1], -1, self.units)
            return by_gate[..., [*indices], :].reshape(*values.shape[:-1], -1)

        return narrowed(
            self,
            built_shape(self),
            cut,
            hidden_units=self.hidden_kernel.shape[-1],
            num_gates=len(indices),
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "units": self.units,
            "hidden_units": self.hidden_units,
            "gamma": self.gamma,
            "num_gates": self.num_gates,
        }
