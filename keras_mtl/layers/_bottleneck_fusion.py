"""Modalities that exchange what they know through a few tokens."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class BottleneckFusion(keras.layers.Layer):
    """Lets modalities attend to themselves and to a few shared tokens, and returns their mean.

    With the tokens z_m of each modality, shared tokens b, and a transformer layer T_lm for each
    layer l and modality m,

        [z_m; b_m] = T_lm([z_m; b])        b = mean_{m there} b_m        l = 1, ..., L
        z = mean_{m there} mean_t norm(z_m,t)

    All that modalities tell each other passes through b. A transformer layer is
    y = x + attention(norm(x)), y + W_2 gelu(W_1 norm(y)). The first layer fills b, so that one
    modality reads another one from the second layer on.

    Choose it for sequences of tokens (patches of images, words, frames of sound), where parts of
    one modality matter by what another one says, and where joint attention over all tokens costs
    too much: it grows with the square of the longest sequence, not of the sum. Not the right choice
    for modalities that are one vector each; `GatedFusion` and a concatenation cost less. An example
    without any modality gets zeros, or a vector that is learned.

    Args:
        num_tokens: The number of shared tokens. Defaults to `4`.
        num_layers: The number of layers. Defaults to `2`.
        num_heads: The number of heads of the attention, which divides the channels. Defaults to
            `2`.
        learned: Whether a vector is learned for examples without any modality, from zeros on.
            Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A list: the tokens of each modality, `(batch, tokens, channels)`, or
            `(batch, channels)` for one token; then flags `(batch, modalities)`.
        mask: A list of masks `(batch, tokens)` or `None`: tokens that are padding count as nothing.

    Returns:
        Features `(batch, channels)`.

    Raises:
        ValueError: If a number is below 1, numbers of channels differ, or heads do not divide them.

    Example:
        >>> layer = BottleneckFusion(num_tokens=2)
        >>> image, words = ops.ones((2, 9, 8)), ops.ones((2, 5, 8))
        >>> layer([image, words, ops.array([[1.0, 1.0], [1.0, 0.0]])]).shape
        TensorShape([2, 8])

    Reference:
        Nagrani et al., Attention Bottlenecks for Multimodal Fusion, NeurIPS 2021, arXiv:2107.00135
        (four tokens, in the last four of twelve layers; the authors' code averages b as above). The
        paper reads a class token of each modality and averages their logits; here the mean of
        the tokens is read, and a missing modality, of which it does not speak, counts nowhere.
    """

    def __init__(
        self,
        num_tokens: int = 4,
        num_layers: int = 2,
        num_heads: int = 2,
        *,
        learned: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        numbers = {"num_tokens": num_tokens, "num_layers": num_layers, "num_heads": num_heads}
        for name, number in numbers.items():
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise ValueError(f"{self.name}: {name} must be 1 or more; received {number!r}.")
        self.num_tokens, self.num_layers = num_tokens, num_layers
        self.num_heads, self.learned = num_heads, bool(learned)
        self.supports_masking = True

    def build(self, input_shape: Sequence[Any]) -> None:
        """Makes the shared tokens, and a transformer layer for each layer and modality."""
        shapes = [tuple(shape) for shape in input_shape[:-1]]
        channels = shapes[0][-1]
        if {shape[-1] for shape in shapes} != {channels} or {*map(len, shapes)} - {2, 3}:
            raise ValueError(
                f"{self.name}: all modalities must be (batch, tokens, channels) or (batch, "
                f"channels) with as many channels; received {shapes}. End the encoders in the same "
                "number of units."
            )
        if channels is None or channels % self.num_heads:
            raise ValueError(
                f"{self.name}: num_heads={self.num_heads} must divide the {channels} channels."
            )
        self.tokens = self.add_weight(
            name="tokens",
            shape=(self.num_tokens, channels),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        self.blocks = [
            _Block(self.num_heads, name=f"layer_{i}_modality_{m}", dtype=self.dtype_policy)
            for i in range(self.num_layers)
            for m in range(len(shapes))
        ]
        for block in self.blocks:
            block.build((None, None, channels))
        self.norms = [
            keras.layers.LayerNormalization(epsilon=1e-6, name=f"norm_{m}", dtype=self.dtype_policy)
            for m in range(len(shapes))
        ]
        for norm in self.norms:
            norm.build((None, None, channels))
        if self.learned:
            self.vector = self.add_weight(name="vector", shape=(channels,), initializer="zeros")

    def call(self, inputs: Sequence[Tensor], mask: Any = None) -> Tensor:
        """Returns the mean of the modalities that are there, after their exchange."""
        *parts, flags = inputs
        masks = [None] * len(parts) if mask is None else list(mask)[: len(parts)]
        # What is not there must not turn into 0 * NaN.
        parts = [
            _where_there(flags[:, m], part if len(part.shape) == 3 else part[:, None])
            for m, part in enumerate(parts)
        ]
        there = ops.cast(flags > 0, self.compute_dtype)  # (batch, modalities)
        shares = there / ops.maximum(ops.sum(there, axis=1, keepdims=True), 1.0)
        batch = ops.shape(flags)[0]
        shared = ops.tile(ops.cast(self.tokens, self.compute_dtype)[None], (batch, 1, 1))
        blocks = iter(self.blocks)
        for _ in range(self.num_layers):
            answers = []
            for m, part in enumerate(parts):
                joined = next(blocks)(
                    ops.concatenate([part, shared], axis=1), _extend(masks[m], self.num_tokens)
                )
                parts[m], answer = joined[:, : -self.num_tokens], joined[:, -self.num_tokens :]
                answers.append(shares[:, m, None, None] * answer)
            shared = sum(answers)
        fused = sum(
            shares[:, m, None] * _mean(norm(part), masks[m])
            for m, (part, norm) in enumerate(zip(parts, self.norms, strict=True))
        )
        if not self.learned:
            return fused
        has_any = ops.any(flags > 0, axis=1, keepdims=True)
        return ops.where(has_any, fused, ops.cast(self.vector, fused.dtype))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Returns none: the result has no positions."""
        return None

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape `(batch, channels)`."""
        return (input_shape[0][0], input_shape[0][-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        names = ("num_tokens", "num_layers", "num_heads", "learned")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class _Block(keras.layers.Layer):
    """Applies one transformer layer with norms in front."""

    def __init__(self, num_heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads

    def build(self, input_shape: Any) -> None:
        """Makes the attention, two dense layers and their norms."""
        channels, dtype = input_shape[-1], self.dtype_policy
        self.attention = keras.layers.MultiHeadAttention(
            self.num_heads, channels // self.num_heads, dtype=dtype, name="attention"
        )
        self.attention.build(input_shape, input_shape)
        self.norms = [
            keras.layers.LayerNormalization(epsilon=1e-6, dtype=dtype, name=f"norm_{i}")
            for i in range(2)
        ]
        for norm in self.norms:
            norm.build(input_shape)
        self.wide = keras.layers.Dense(4 * channels, activation="gelu", dtype=dtype, name="wide")
        self.wide.build(input_shape)
        self.narrow = keras.layers.Dense(channels, dtype=dtype, name="narrow")
        self.narrow.build((*input_shape[:-1], 4 * channels))

    def call(self, tokens: Tensor, valid: Any) -> Tensor:
        """Returns tokens of the same shape; `valid`, `(batch, tokens)`, says which are read."""
        normed = self.norms[0](tokens)
        mask = None if valid is None else valid[:, None]  # (batch, readers, tokens)
        tokens = tokens + self.attention(normed, normed, attention_mask=mask)
        return tokens + self.narrow(self.wide(self.norms[1](tokens)))


def _where_there(flags: Tensor, tokens: Tensor) -> Tensor:
    """Returns tokens `(batch, tokens, channels)`, with zeros where a modality is missing."""
    return ops.where(flags[:, None, None] > 0, tokens, ops.zeros_like(tokens))


def _extend(valid: Any, count: int) -> Any:
    """Returns which tokens count, with the shared ones behind, which always do."""
    if valid is None:
        return None
    return ops.pad(ops.cast(valid, "bool"), ((0, 0), (0, count)), constant_values=True)


def _mean(tokens: Tensor, valid: Any) -> Tensor:
    """Returns the mean of the tokens that count, `(batch, channels)`; zeros if none does."""
    if valid is None:
        return ops.mean(tokens, axis=1)
    counts = ops.cast(valid, tokens.dtype)[..., None]
    return ops.sum(tokens * counts, axis=1) / ops.maximum(ops.sum(counts, axis=1), 1.0)
