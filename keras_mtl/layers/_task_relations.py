"""One step of propagation over the graph of task relations."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskRelations(keras.layers.Layer):
    """Adds the features of related tasks to the features of each task.

    `x~_k = x_k + lambda * sum_{j != k} r_kj x_j` for each of K tasks. The relations `r_kj` are
    fixed, or learned as `r_kj = sigmoid(logits_kj) / (K - 1)`, each between 0 and 1 / (K - 1).

    Args:
        strength: `lambda`, the weight of related tasks beside the task itself. Defaults to `0.5`.
        relations: `r`, a matrix `(K, K)` in the order of the inputs, whose diagonal is 0. It need
            not be symmetric. With `None` it is learned. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A list of features of equal shape `(batch, ..., units)`, one per task. Masks are
            passed on.

    Returns:
        A list of features of the same shape, one per task.

    Raises:
        ValueError: If the inputs differ in shape, or the relations are not a matrix `(K, K)` of
            finite numbers with a diagonal of 0.

    Example:
        >>> import numpy as np
        >>> layer = TaskRelations(0.5, [[0, 1], [0, 0]])
        >>> mixed = layer([np.array([[4.0]]), np.array([[8.0]])])
        >>> [features.numpy().tolist() for features in mixed]
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
        self.fixed_relations = (
            None if relations is None else np.array(relations, "float64").tolist()
        )

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Checks the shapes, and makes `logits` `(K, K)` where relations are learned."""
        shapes = [tuple(shape) for shape in input_shape]
        num_tasks = len(shapes)
        if len(set(shapes)) > 1:
            raise ValueError(
                f"{self.name}: features of related tasks are added up, so they must have one "
                f"shape; received {shapes}."
            )
        if self.fixed_relations is None:
            if num_tasks > 1:
                self.logits = self.add_weight((num_tasks, num_tasks), "zeros", name="logits")
            return
        relations = np.array(self.fixed_relations)
        fits = relations.shape == (num_tasks, num_tasks) and np.isfinite(relations).all()
        if not fits or np.diag(relations).any():
            raise ValueError(
                f"{self.name}: relations must be a matrix {num_tasks} x {num_tasks} of finite "
                "numbers, in the order of the tasks, with a diagonal of 0 (a task's own features "
                f"count once); received {self.fixed_relations}."
            )

    @property
    def relations(self) -> Any:
        """The current `r`, an array `(K, K)`; row k holds the weights of the others for task k."""
        return ops.convert_to_numpy(self._relations())

    def _relations(self) -> Tensor:
        """Returns the fixed relations, or computes `sigmoid(logits) / (K - 1)` off the diagonal."""
        if self.fixed_relations is not None:
            return ops.convert_to_tensor(self.fixed_relations, "float32")
        if not self.weights:  # one task, which has no other task to relate to
            return ops.zeros((1, 1))
        num_tasks = self.logits.shape[0]
        off_diagonal = 1.0 - ops.eye(num_tasks, dtype=self.logits.dtype)
        return ops.sigmoid(self.logits) * off_diagonal / (num_tasks - 1)

    def call(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Computes `x~_k = x_k + lambda * sum_{j != k} r_kj x_j` for a list of features."""
        stacked = ops.stack(list(inputs), axis=-1)  # batch, ..., units, K
        relations = ops.cast(self._relations(), stacked.dtype)
        # Transposed, since the product sums over the rows of the matrix: the tasks j.
        mixed = stacked + self.strength * ops.matmul(stacked, ops.transpose(relations))
        return list(ops.unstack(mixed, axis=-1))

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> list[tuple[int | None, ...]]:
        """Returns the shapes of the inputs."""
        return [tuple(shape) for shape in input_shape]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "strength": self.strength,
            "relations": self.fixed_relations,
        }
