"""A penalty under which several tasks leave out the same features."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._graph_penalty import GraphPenalty


@keras.saving.register_keras_serializable(package="keras_mtl")
class GroupSparsity(GraphPenalty):
    """Adds the l2,1 norm of the kernel entries by which tasks read their features to the loss.

    The penalty is `strength * sum_i |w_i|`, where the vector `w_i` holds the kernel entries with
    which the layers of all branches read feature i: a feature is drawn to zero for all of them
    together, or for none. The layer passes its inputs on. The penalized layers are dense or
    convolutional layers that read its output, and are found by name. The penalty is in the logs
    as `<name>_penalty`.

    Args:
        branches: For each task, the names of its penalized layers.
        strength: Factor of the penalty, not negative. Defaults to `1e-3`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Any tensor; it is returned unchanged.

    Raises:
        ValueError: If `strength` is not a number of at least 0.

    Example:
        >>> groups = GroupSparsity([["left"], ["right"]], strength=0.5, name="groups")
        >>> features = groups(keras.Input((2,)))
        >>> kernels = {"left": [[3.0], [0.0]], "right": [[4.0], [0.0]]}
        >>> for name, kernel in kernels.items():
        ...     layer = keras.layers.Dense(1, use_bias=False, name=name)
        ...     _ = layer(features)
        ...     layer.set_weights([np.array(kernel)])
        >>> round(float(groups.penalty()), 4)  # 0.5 * (5 + 0)
        2.5
        >>> groups.norms().tolist()
        [[3.0, 0.0], [4.0, 0.0]]
        >>> groups.pattern().tolist()
        [[True, False], [True, False]]
    """

    def __init__(
        self, branches: Sequence[Sequence[str]], strength: float = 1e-3, **kwargs: Any
    ) -> None:
        super().__init__(branches, **kwargs)
        if not isinstance(strength, int | float) or not 0 <= strength < float("inf"):
            raise ValueError(
                f"{self.name}: strength must be a number of at least 0; received {strength!r}."
            )
        self.strength = strength

    def measure(self, kept: list[int], variables: list[list[keras.Variable]]) -> Tensor:
        """Computes `strength * sum_i |w_i|` over the features i."""
        squares = ops.sum(ops.stack([_squares(branch) for branch in variables]), 0)  # features
        # The norm has no gradient at zero, where a feature is left out.
        return self.strength * ops.sum(ops.sqrt(ops.maximum(squares, 1e-12)))

    def norms(self) -> npt.NDArray[np.float32]:
        """Returns the norm of each task's kernel entries per feature, `(num_tasks, features)`."""
        layers_after = self._layers_after()
        kept = [names for names in self.branches if {*names} <= layers_after.keys()]
        variables = [[v for name in names for v in layers_after[name].weights] for names in kept]
        squares = np.array(
            [ops.convert_to_numpy(_squares(branch)) for branch in variables], "float32"
        )
        return np.asarray(np.sqrt(squares))

    def pattern(self, tolerance: float = 0.01) -> npt.NDArray[np.bool_]:
        """Returns whether each task uses each feature, `(num_tasks, features)`.

        Args:
            tolerance: A task uses a feature if the norm of its kernel entries is larger than
                `tolerance` times the largest norm: gradient steps bring a norm close to zero,
                but not to zero. Defaults to `0.01`.
        """
        norms = self.norms()
        return np.asarray(norms > tolerance * norms.max())

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "strength": self.strength}


def _squares(variables: list[keras.Variable]) -> Tensor:
    """Returns the sum of squared kernel entries per feature; biases belong to no feature."""
    kernels = [ops.cast(v, "float32") for v in variables if len(v.shape) > 1]
    # The second to last axis of a dense or convolutional kernel holds the input features.
    squares = [ops.moveaxis(ops.square(kernel), -2, 0) for kernel in kernels]  # features, ...
    return sum(ops.sum(ops.reshape(square, (square.shape[0], -1)), -1) for square in squares)
