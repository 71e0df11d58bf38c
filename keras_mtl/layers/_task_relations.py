"""One step of propagation over the graph of task relations."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskRelations(keras.layers.Layer):
    """Adds to each task's features those of the tasks it is related to.

    `x~_k = x_k + strength * sum_{j != k} r_kj x_j`. The relations are given, or learned as
    `r_kj = sigmoid(logits_kj) / (K - 1)`, each between 0 and 1 / (K - 1).

    Args:
        strength: `lambda`, what a related task counts beside the task itself. Defaults to `0.5`.
        relations: `r`, a matrix in the order of the inputs whose diagonal is 0; it need not be
            symmetric. `None` to learn it. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A list of features of equal shape `(batch, ..., units)`, one a task. Masks are
            passed on.

    Returns:
        A list of features of the same shape.

    Raises:
        ValueError: If the inputs differ in shape, or the relations are no matrix that fits.

    Example:
        >>> import numpy as np
        >>> layer = TaskRelations(0.5, [[0, 1], [0, 0]])
        >>> mixed = layer([np.array([[4.0]]), np.array([[8.0]])])
        >>> [each.numpy().tolist() for each in mixed]
        [[[8.0]], [[8.0]]]
    """

    def __init__(
        self,
        strength: float = 0.5,
        relations: Sequence[Sequence[float]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.strength = strength
        self.given = None if relations is None else np.array(relations, "float64").tolist()

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Checks shapes; makes `logits` `(K, K)` where relations are learned."""
        shapes = [tuple(shape) for shape in input_shape]
        count = len(shapes)
        if len(set(shapes)) > 1:
            raise ValueError(
                f"{self.name}: features of related tasks are added up, so they must have one "
                f"shape; received {shapes}."
            )
        if self.given is None:
            if count > 1:
                self.logits = self.add_weight((count, count), "zeros", name="logits")
            return
        given = np.array(self.given)
        fits = given.shape == (count, count) and np.isfinite(given).all()
        if not fits or np.diag(given).any():
            raise ValueError(
                f"{self.name}: relations must be a matrix {count} x {count} of finite numbers, "
                "in the order of the tasks, with a diagonal of 0 (a task's own features count "
                f"once); received {self.given}."
            )

    @property
    def relations(self) -> Any:
        """`r` as it is now, an array `(K, K)`; row k holds what task k takes from the others."""
        return ops.convert_to_numpy(self._relations())

    def _relations(self) -> Tensor:
        if self.given is not None:
            return ops.convert_to_tensor(self.given, "float32")
        if not self.weights:
            return ops.zeros((1, 1))
        count = self.logits.shape[0]
        apart = 1.0 - ops.eye(count, dtype=self.logits.dtype)
        return ops.sigmoid(self.logits) * apart / (count - 1)

    def call(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Propagates a list of features of equal shape."""
        stacked = ops.stack(list(inputs), axis=-1)  # batch, ..., units, K
        relations = ops.cast(self._relations(), stacked.dtype)
        mixed = stacked + self.strength * ops.matmul(stacked, ops.transpose(relations))
        return list(ops.unstack(mixed, axis=-1))

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> list[tuple[int | None, ...]]:
        """The shapes of the inputs."""
        return [tuple(shape) for shape in input_shape]

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "strength": self.strength, "relations": self.given}
