"""Which modalities an example has."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class PresenceFlags(keras.layers.Layer):
    """Joins the flags that say which modalities of an example are there, to one tensor.

    Choose it in front of `ModalityDropout`, `FillMissing` and `GatedFusion`, which read its
    output; `architectures.multimodal` makes all of them.

    Args:
        flagged: For each modality, whether it has a flag; one without a flag is always there.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: A list: any tensor of the batch, then the flags of the modalities that have one,
            `(batch,)` or `(batch, 1)`. A flag says "there" if it is above 0.

    Returns:
        1 for a modality that is there and 0 for one that is not, `(batch, modalities)`, float32.

    Raises:
        ValueError: If there is no modality.

    Example:
        >>> layer = PresenceFlags([False, True])
        >>> layer([ops.zeros((2, 5)), ops.array([1, 0])]).numpy().tolist()
        [[1.0, 1.0], [1.0, 0.0]]
    """

    def __init__(self, flagged: Sequence[bool], **kwargs: Any) -> None:
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        if not flagged:
            raise ValueError(f"{self.name}: flagged is empty; give one entry for each modality.")
        self.flagged = [bool(entry) for entry in flagged]
        self.built = True

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Returns the flags of all modalities."""
        reference, *flags = inputs
        always = ops.ones((ops.shape(reference)[0],), "float32")
        remaining = iter(flags)
        columns = [
            ops.cast(ops.reshape(next(remaining), (-1,)) > 0, "float32") if has_flag else always
            for has_flag in self.flagged
        ]
        return ops.stack(columns, axis=1)

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape `(batch, modalities)`."""
        return (input_shape[0][0], len(self.flagged))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        config = super().get_config()
        del config["dtype"]
        return {**config, "flagged": self.flagged}
