"""The sum of experts, weighted by a gate."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._masks import first_mask


@keras.saving.register_keras_serializable(package="keras_mtl")
class Mixture(keras.layers.Layer):
    """Sums the experts' features with the weights of a gate: `sum_i gate_i * expert_i`.

    Call arguments:
        inputs: `[gate, experts]`: the weights of the gate, which are
            `(batch, ..., num_experts)` for one mixture per position,
            `(batch, num_experts)` for the same mixture at all positions, or
            `(batch, ..., num_mixtures, num_experts)` for several mixtures per position; and the
            experts' features `(batch, ..., num_experts, units)`. The mask of the experts is
            passed on or, without one, the mask of the gate.

    Returns:
        Features `(batch, ..., units)`, or `(batch, ..., num_mixtures, units)` for several
        mixtures per position.

    Raises:
        ValueError: If the shape of the gate does not fit the shape of the experts.

    Example:
        >>> gate = ops.array([[0.25, 0.75]])
        >>> experts = ops.array([[[1.0, 2.0], [5.0, 6.0]]])
        >>> Mixture()([gate, experts]).numpy().tolist()
        [[4.0, 5.0]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Checks that the shape of the gate fits the shape of the experts."""
        gate, experts = (tuple(shape) for shape in input_shape)
        several = len(gate) == len(experts) and gate[:-2] == experts[:-2]
        if gate[-1] != experts[-2] or not (several or len(gate) in (2, len(experts) - 1)):
            raise ValueError(
                f"{self.name}: expected a gate (batch, ..., num_experts) and experts "
                f"(batch, ..., num_experts, units); received the shapes {gate} and {experts}."
            )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Computes `sum_i gate_i * expert_i` from `[gate, experts]`."""
        gate, experts = inputs
        if len(gate.shape) == len(experts.shape):
            return ops.matmul(gate, experts)  # batch, ..., num_mixtures, units
        for _ in range(len(experts.shape) - 1 - len(gate.shape)):
            gate = ops.expand_dims(gate, 1)  # batch, 1, ..., num_experts
        # (..., 1, num_experts) times (..., num_experts, units)
        return ops.squeeze(ops.matmul(ops.expand_dims(gate, -2), experts), -2)

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """Returns `(batch, ..., units)`, or `(batch, ..., num_mixtures, units)`."""
        gate, experts = (tuple(shape) for shape in input_shape)
        if len(gate) == len(experts):
            return (*gate[:-1], experts[-1])
        return (*experts[:-2], experts[-1])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the mask of the experts or, without one, the mask of the gate."""
        return first_mask(reversed(previous_mask or ()))
