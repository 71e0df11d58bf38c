"""A penalty that makes several tasks leave out the same features."""

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
    """Adds the l2,1 norm of all tasks' weights of each feature to the loss.

    The penalty is `strength * sum_i |w_i|`, where `w_i` are the weights with which the layers
    of all branches read feature i: a feature is drawn to zero for all of them together, or for
    none. The layer passes its inputs on; the penalized layers are dense or convolutional ones
    that read them, found by name. The penalty is in the logs as `<name>_penalty`.

    Args:
        branches: The names of the penalized layers of each task.
        strength: Not negative. Defaults to `1e-3`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Anything; it is returned as it is.

    Raises:
        ValueError: If `strength` is no number of at least 0.

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

    def measure(self, kept: list[int], weights: list[list[keras.Variable]]) -> Tensor:
        """The sum over features of the norm of all their weights."""
        squares = ops.sum(ops.stack([_squares(each) for each in weights]), 0)
        # The norm has no gradient at zero, where a feature is left out.
        return self.strength * ops.sum(ops.sqrt(ops.maximum(squares, 1e-12)))

    def norms(self) -> npt.NDArray[np.float32]:
        """The norm of each task's weights of each feature, `(num_tasks, features)`."""
        behind = self._behind()
        present = [names for names in self.branches if {*names} <= behind.keys()]
        weights = [[v for name in names for v in behind[name].weights] for names in present]
        squares = np.array([ops.convert_to_numpy(_squares(each)) for each in weights], "float32")
        return np.asarray(np.sqrt(squares))

    def pattern(self, tolerance: float = 0.01) -> npt.NDArray[np.bool_]:
        """Which task uses which feature, `(num_tasks, features)`.

        Args:
            tolerance: A task uses a feature if the norm of its weights is above this part of
                the largest: gradient steps come near zero, not to it. Defaults to `0.01`.
        """
        norms = self.norms()
        return np.asarray(norms > tolerance * norms.max())

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "strength": self.strength}


def _squares(variables: list[keras.Variable]) -> Tensor:
    """Squares of the weights of each feature; those of biases belong to none."""
    kernels = [ops.cast(each, "float32") for each in variables if len(each.shape) > 1]
    squares = [ops.moveaxis(ops.square(kernel), -2, 0) for kernel in kernels]
    return sum(ops.sum(ops.reshape(each, (each.shape[0], -1)), -1) for each in squares)
