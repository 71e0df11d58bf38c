"""Subspaces of a layer's channels, kept from saying the same (Ruder et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._graph_penalty import GraphPenalty


@keras.saving.register_keras_serializable(package="keras_mtl")
class SubspaceOrthogonality(GraphPenalty):
    """Adds to the loss how much the subspaces of each layer's channels have in common.

    With `G_i` the columns of a kernel that make the i-th part of the channels, the penalty is
    `strength * sum_{i<j} |G_i^T G_j|_F^2`, summed over the kernels of the layers; the gates of a
    recurrent layer count one by one. The layer passes its inputs on; the penalized layers read
    them, and are found by name. The penalty is in the logs as `<name>_penalty`.

    Args:
        branches: The names of the penalized layers, each in a list of its own: dense,
            convolutional or recurrent ones.
        num_subspaces: Into how many parts channels are cut. Defaults to `2`.
        strength: Weight of the penalty, not negative. Defaults to `0.01`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Anything; it is returned as it is.

    Raises:
        ValueError: If `num_subspaces` is less than 2 or `strength` negative.

    Example:
        >>> layer = SubspaceOrthogonality([["body"]], strength=0.5)
        >>> features = layer(keras.Input((3,)))
        >>> body = keras.layers.Dense(4, kernel_initializer="ones", name="body")(features)
        >>> float(layer.penalty())  # 0.5 * (2 x 2 entries) * 3^2
        18.0

    Reference:
        Ruder et al., Latent Multi-task Architecture Learning, AAAI 2019, arXiv:1705.08142,
        whose code cuts along either axis of a recurrent kernel; here it is always the axis of
        the channels, which the stitches cut too.
    """

    def __init__(
        self,
        branches: Sequence[Sequence[str]],
        num_subspaces: int = 2,
        strength: float = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(branches, **kwargs)
        if num_subspaces < 2 or strength < 0:
            raise ValueError(
                f"{self.name}: expected num_subspaces of at least 2 and a strength of at least 0; "
                f"received {num_subspaces!r} and {strength!r}."
            )
        self.num_subspaces = num_subspaces
        self.strength = strength

    def measure(self, kept: list[int], weights: list[list[keras.Variable]]) -> Tensor:
        """The sum over all kernels."""
        behind = self._behind()
        total = [
            self._overlap(variable, behind[self.branches[i][-1]].output.shape[-1])
            for i, variables in zip(kept, weights, strict=True)
            for variable in variables
            if "kernel" in variable.name
        ]
        return self.strength * ops.sum(ops.stack(total))

    def _overlap(self, kernel: keras.Variable, channels: int) -> Tensor:
        gates = kernel.shape[-1] // channels
        columns = ops.reshape(ops.cast(kernel, "float32"), (-1, gates, channels))
        products = ops.einsum("rgc,rgd->gcd", columns, columns)
        part = np.arange(channels) * self.num_subspaces // channels
        return ops.sum(ops.square(products) * (part[:, None] < part).astype("float32"))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        own = {"num_subspaces": self.num_subspaces, "strength": self.strength}
        return {**super().get_config(), **own}
