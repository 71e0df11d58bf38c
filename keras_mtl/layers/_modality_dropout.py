"""Modalities that are left out at random in training."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class ModalityDropout(keras.layers.Layer):
    """Lowers the flags of modalities at random in training, never that of the last one there.

    Each modality of each example that is there is left out with probability `rate`. If that would
    leave an example without any, one that was there is kept, each with equal probability. Apart
    from that, an example loses all of them with probability `rate_of_all`, so that the network
    learns what to answer where nothing is known.

    Choose it where a modality may be missing when the network is used: a network that has seen
    all of them in each example leans on the easiest one. (Halves of handwritten digits, accuracy
    with both, the top and the bottom alone: without it .968, .323, .497; at rate .2 .967, .843,
    .864; at .5 .966, .863, .879; a network for each half alone .872 and .885:
    `benchmarks/regimes_modalities.py`.) Not the right choice where all modalities are always
    there, nor where one of them is useless without another.

    Args:
        rate: The probability, from 0 to below 1. Defaults to `0.2`.
        rate_of_all: The probability that an example loses all its modalities, from 0 to below 1.
            Defaults to `0.0`: never.
        seed: The seed of the draws. Defaults to `None`: another one in each program.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        flags: 1 for a modality that is there, else 0, `(batch, modalities)`, float32.
        training: Whether to draw; without it, flags are returned unchanged.

    Returns:
        Flags of the same shape.

    Raises:
        ValueError: If a rate is not from 0 to below 1.

    Example:
        >>> layer = ModalityDropout(0.5, seed=0)
        >>> flags = layer(ops.ones((1000, 2)), training=True).numpy()
        >>> sorted({tuple(row) for row in flags.tolist()})  # never (0, 0)
        [(0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]

    Reference:
        Neverova et al., ModDrop, TPAMI 2016, arXiv:1501.00102, where all modalities of an
        example may be left out.
    """

    def __init__(
        self,
        rate: float = 0.2,
        *,
        rate_of_all: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        for name, value in (("rate", rate), ("rate_of_all", rate_of_all)):
            if not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(
                    f"{self.name}: {name} must be from 0 to below 1, since a network that never "
                    f"sees a modality cannot use it; received {value!r}."
                )
        self.rate, self.rate_of_all, self.seed = float(rate), float(rate_of_all), seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, flags: Tensor, training: bool | None = None) -> Tensor:
        """Returns the flags, in training without those that were drawn."""
        if not training:
            return flags
        kept = self._without_some(flags) if self.rate else flags
        if not self.rate_of_all:
            return kept
        draws = keras.random.uniform((ops.shape(flags)[0], 1), seed=self.seed_generator)
        return kept * ops.cast(draws >= self.rate_of_all, "float32")

    def _without_some(self, flags: Tensor) -> Tensor:
        """Returns flags of which some were lowered, but not all of an example."""
        draws = keras.random.uniform(ops.shape(flags), dtype="float32", seed=self.seed_generator)
        kept = flags * ops.cast(draws >= self.rate, "float32")
        # Of the modalities that were there, the one of the largest draw is always kept: it is the
        # last to fall below the rate, so the other draws keep their distribution.
        largest = ops.max(ops.where(flags > 0, draws, -1.0), axis=1, keepdims=True)
        is_last = flags * ops.cast(draws >= largest, "float32")
        return ops.maximum(kept, is_last)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the flags."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        config = super().get_config()
        del config["dtype"]
        return {**config, "rate": self.rate, "rate_of_all": self.rate_of_all, "seed": self.seed}
