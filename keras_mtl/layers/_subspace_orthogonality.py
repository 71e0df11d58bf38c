"""A penalty on the overlap of the subspaces of a layer's channels (Ruder et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._graph_penalty import GraphPenalty


@keras.saving.register_keras_serializable(package="keras_mtl")
class SubspaceOrthogonality(GraphPenalty):
    """Penalizes the overlap of the subspaces into which each layer's channels are cut.

    With `G_i` the columns of a kernel that compute the i-th subspace of the channels, the penalty
    is `strength * sum_{i<j} |G_i^T G_j|_F^2`, summed over the kernels of the layers; each gate of
    a recurrent layer counts separately. It is added to the loss. The layer passes its inputs on;
    the penalized layers read its output, and are found by name. The penalty is in the logs as
    `<name>_penalty`.

    Args:
        branches: The names of the penalized layers, one list per layer, with one name. The
            layers are dense, convolutional or recurrent.
        num_subspaces: The number of subspaces into which channels are cut. Defaults to `2`.
        strength: Weight of the penalty, not negative. Defaults to `0.01`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Any tensor; it is returned unchanged.

    Raises:
        ValueError: If `num_subspaces` is less than 2 or `strength` is negative.

    Example:
        >>> layer = SubspaceOrthogonality([["body"]], strength=0.5)
        >>> features = layer(keras.Input((3,)))
        >>> body = keras.layers.Dense(4, kernel_initializer="ones", name="body")(features)
        >>> float(layer.penalty())  # 0.5 * (2 x 2 entries) * 3^2
        18.0

    Reference:
        Ruder et al., Latent Multi-task Architecture Learning, AAAI 2019, arXiv:1705.08142,
        whose code cuts along either axis of a recurrent kernel; here it is always the axis of
        the channels, which `CrossStitch` cuts as well.
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

    def measure(self, kept: list[int], variables: list[list[keras.Variable]]) -> Tensor:
        """Computes `strength * sum_{i<j} |G_i^T G_j|_F^2`, summed over all kernels."""
        layers_after = self._layers_after()
        overlaps = [
            self._overlap(variable, layers_after[self.branches[i][-1]].output.shape[-1])
            for i, layer_variables in zip(kept, variables, strict=True)
            for variable in layer_variables
            if "kernel" in variable.name
        ]
        return self.strength * ops.sum(ops.stack(overlaps))

    def _overlap(self, kernel: keras.Variable, channels: int) -> Tensor:
        """Computes `sum_{i<j} |G_i^T G_j|_F^2` for one kernel.

        Args:
            kernel: The kernel, `(..., gates * channels)`; only recurrent layers have gates.
            channels: The number of channels of the layer's output.
        """
        gates = kernel.shape[-1] // channels
        columns = ops.reshape(ops.cast(kernel, "float32"), (-1, gates, channels))
        # Inner products of all columns c and d of a gate g, over the rows r.
        products = ops.einsum("rgc,rgd->gcd", columns, columns)
        subspace = np.arange(channels) * self.num_subspaces // channels
        # Of the columns, only pairs from subspaces i < j count.
        return ops.sum(ops.square(products) * (subspace[:, None] < subspace).astype("float32"))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_subspaces": self.num_subspaces,
            "strength": self.strength,
        }
