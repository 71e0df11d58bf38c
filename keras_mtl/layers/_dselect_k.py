"""A gate that selects at most k experts and stays smooth (Hazimeh et al., 2021)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._replicas import check_added_losses
from keras_mtl._types import Tensor
from keras_mtl.layers._initializers import distinct_initializers

_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="keras_mtl")
class DSelectKGate(keras.layers.Layer):
    """Weighs experts, of which at most `num_selected` keep a weight after training.

    `q = sum_i softmax(w)_i r(z_i)`, where `q` are the weights of the experts and each of the
    `num_selected` selectors `r(z_i)` chooses one expert by the binary code of its number: with
    `m = ceil(log2(num_experts))` bits and the smooth step `S`, `r(z)_e` is the product of
    `S(z_j)` over the bits `j = 1, ..., m` of `e` that are 1, and of `1 - S(z_j)` over those that
    are 0. `S` is 0 below `-gamma/2`, 1 above `gamma/2` and a cubic polynomial between, so that
    a trained selector is exactly one expert, while gradients flow until then.

    Two penalties are added to the loss, both a mean over the examples: `entropy` times the
    entropy of the selectors; and, where `num_experts` is not a power of two, the sum over
    selectors of `1 / sum_e r(z)_e - 1`, which keeps weight away from the codes that belong to no
    expert. Until it has done so, the weights of an example sum to less than 1.

    Args:
        num_experts: The number of experts, at least 2.
        num_selected: The number of selectors, the `k` of the name. Defaults to `2`.
        per_example: Whether `z` and `w` are linear in the features; if not, they are the same
            for all examples. Defaults to `True`.
        gamma: Width of the smooth step. Defaults to `1.0`.
        entropy: Weight of the entropy penalty, which makes selectors decide. Defaults to `1e-6`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: Floats `(batch, ..., in)`. A mask is passed on.

    Returns:
        Weights `(batch, ..., num_experts)`.

    Raises:
        ValueError: If a number is out of its range; in training by plain Keras on several
            replicas, which cannot see the penalties of the global batch.

    Example:
        >>> gate = DSelectKGate(5, 2)
        >>> weights = gate(ops.ones((3, 4)))
        >>> weights.shape, bool(ops.all(weights >= 0))
        (TensorShape([3, 5]), True)

    Reference:
        Hazimeh et al., DSelect-k: Differentiable Selection in the Mixture of Experts with
        Applications to Multi-Task Learning, NeurIPS 2021, arXiv:2106.03760, and the authors'
        layer. There the penalties are sums over the batch, and the second is larger by 1, which
        changes no gradient.
    """

    def __init__(
        self,
        num_experts: int,
        num_selected: int = 2,
        per_example: bool = True,
        gamma: float = 1.0,
        entropy: float = 1e-6,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_experts < 2 or num_selected < 1 or gamma <= 0 or entropy < 0:
            raise ValueError(
                f"{self.name}: expected num_experts >= 2, num_selected >= 1, gamma > 0 and "
                f"entropy >= 0; received {num_experts}, {num_selected}, {gamma} and {entropy}."
            )
        self.supports_masking = True
        self.num_experts = num_experts
        self.num_selected = num_selected
        self.per_example = per_example
        self.gamma = gamma
        self.entropy = entropy
        self.num_bits = (num_experts - 1).bit_length()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the linear maps from the features to `z` and `w`, or `z` and `w` themselves."""
        num_codes = self.num_selected * self.num_bits
        code_start = keras.initializers.RandomUniform(-self.gamma / 100, self.gamma / 100)
        weight_start = keras.initializers.RandomUniform()
        code_kernel, code_bias = distinct_initializers(code_start, 2)
        weight_kernel, weight_bias = distinct_initializers(weight_start, 2)
        if self.per_example:
            shape = (input_shape[-1], num_codes)
            self.code_kernel = self.add_weight(shape, code_kernel, name="code_kernel")
        # A static gate's penalty depends on a variable alone: as its regularizer it has the right
        # size on any number of replicas.
        penalty = None if self.per_example else self._penalty_of_codes
        self.code_bias = self.add_weight(
            (num_codes,), code_bias, regularizer=penalty, name="code_bias"
        )
        if self.num_selected == 1:  # the softmax over one selector is 1
            return
        if self.per_example:
            shape = (input_shape[-1], self.num_selected)
            self.weight_kernel = self.add_weight(shape, weight_kernel, name="weight_kernel")
        self.weight_bias = self.add_weight((self.num_selected,), weight_bias, name="weight_bias")

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        """Computes `q = sum_i softmax(w)_i r(z_i)` for features `(batch, ..., in)`."""
        codes = self.code_bias
        if self.per_example:
            codes = ops.matmul(features, self.code_kernel) + codes
        selectors = self._select(codes)  # ..., num_selected, num_experts
        if self.per_example and (self.entropy or self._has_vacant_codes):
            check_added_losses(self, training)
            self.add_loss(self._penalty(selectors))
        if self.num_selected > 1:
            logits = self.weight_bias
            if self.per_example:
                logits = ops.matmul(features, self.weight_kernel) + logits
            # (..., 1, num_selected) times (..., num_selected, num_experts)
            selectors = ops.matmul(ops.expand_dims(ops.softmax(logits), -2), selectors)
        weights = ops.squeeze(selectors, -2)  # ..., num_experts
        return ops.broadcast_to(weights, (*ops.shape(features)[:-1], self.num_experts))

    def _select(self, codes: Tensor) -> Tensor:
        """Computes `r(z)`; each bit doubles the number of experts that are told apart."""
        leading = ops.shape(codes)[:-1]
        steps = ops.reshape(self._smooth_step(codes), (*leading, self.num_selected, self.num_bits))
        chances = ops.ones_like(steps[..., :1])  # ..., num_selected, 1
        for bit in range(self.num_bits):
            step = steps[..., bit : bit + 1]  # ..., num_selected, 1
            # Codes `e` become `2 e` and `2 e + 1`: the new bit is the last one of the code.
            pairs = ops.stack([chances * (1 - step), chances * step], axis=-1)
            chances = ops.reshape(pairs, (*leading, self.num_selected, 2 ** (bit + 1)))
        return chances[..., : self.num_experts]

    def _smooth_step(self, z: Tensor) -> Tensor:
        """Computes `S(z)`, with `t = z / gamma`: `0.5 + 1.5 t - 2 t^3` for `|t| < 0.5`."""
        t = ops.clip(z / self.gamma, -0.5, 0.5)
        return 0.5 + 1.5 * t - 2.0 * t**3

    def _penalty_of_codes(self, codes: Tensor) -> Tensor:
        return self._penalty(self._select(codes))

    @property
    def _has_vacant_codes(self) -> bool:
        return bool(self.num_experts != 2**self.num_bits)

    def _penalty(self, selectors: Tensor) -> Tensor:
        """Computes both penalties of selectors `r(z)`, summed over them, as a mean over examples.

        Args:
            selectors: `(..., num_selected, num_experts)`.
        """
        entropies = -ops.sum(selectors * ops.log(selectors + _EPSILON), axis=-1)
        penalties = self.entropy * entropies
        if self._has_vacant_codes:
            penalties = penalties + 1 / (ops.sum(selectors, axis=-1) + _EPSILON) - 1
        return ops.mean(ops.sum(penalties, axis=-1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., num_experts)`."""
        return (*input_shape[:-1], self.num_experts)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "num_selected": self.num_selected,
            "per_example": self.per_example,
            "gamma": self.gamma,
            "entropy": self.entropy,
        }
