"""Transfer of information from each step of a chain to the next one (Xi et al., 2021)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._masks import first_mask


@keras.saving.register_keras_serializable(package="keras_mtl")
class InformationTransfer(keras.layers.Layer):
    """Weighs a task's features against the features that the task before it hands over.

    With the features `p` handed over and the task's features `q`, both of size k, and with `u`
    in `{p, q}`, the output is `z` in

        w_u = softmax_u( <h_2(u), h_3(u)> / sqrt(k) )
        z = w_p h_1(p) + w_q h_1(q)

    where `h_1`, `h_2` and `h_3` are linear maps without a bias. Call one layer at every step of
    the chain: the steps of the paper share these maps.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: `[q, p]`, both `(batch, ..., k)`. The first mask among them is passed on.

    Returns:
        Features `(batch, ..., k)`.

    Raises:
        ValueError: If the two differ in shape, or their last axis is not known.

    Example:
        >>> transfer = InformationTransfer()
        >>> transfer([keras.Input((4,)), keras.Input((4,))]).shape
        (None, 4)
        >>> [tuple(variable.shape) for variable in transfer.variables]
        [(4, 4), (4, 4), (4, 4)]

    Reference:
        Xi et al., Modeling the Sequential Dependence among Audience Multi-step Conversions with
        Multi-task Learning in Targeted Display Advertising, KDD 2021, arXiv:2105.08489. Here
        the maps start as dense layers do (glorot uniform); the authors' code draws them with a
        standard deviation of 0.01. The softmax runs in float32 under any dtype policy.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Sequence[Any]) -> None:
        """Makes the kernels `(k, k)` of `h_1` (value), `h_2` (key) and `h_3` (query)."""
        task_shape, handed_shape = (tuple(shape) for shape in input_shape)
        size = task_shape[-1]
        if task_shape != handed_shape or size is None:
            raise ValueError(
                f"{self.name}: what a task hands over and the features of the next task must be "
                f"of the same shape, whose last axis is known; received {handed_shape} and "
                f"{task_shape}."
            )
        self.value, self.key, self.query = (
            self.add_weight(name=name, shape=(size, size), initializer="glorot_uniform")
            for name in ("value_kernel", "key_kernel", "query_kernel")
        )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Computes `z = w_p h_1(p) + w_q h_1(q)` from `[q, p]`."""
        both = ops.stack(inputs, axis=-2)  # u: batch, ..., 2, k
        value, key, query = (
            ops.matmul(both, kernel) for kernel in (self.value, self.key, self.query)
        )
        # In float16 the inner product of k entries could overflow.
        scores = ops.sum(ops.cast(key, "float32") * ops.cast(query, "float32"), axis=-1)
        attention = ops.softmax(scores / both.shape[-1] ** 0.5, axis=-1)  # w: batch, ..., 2
        attention = ops.cast(ops.expand_dims(attention, -1), value.dtype)
        return ops.sum(attention * value, axis=-2)

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape of either input."""
        return tuple(input_shape[0])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the first mask that exists among the inputs."""
        return first_mask(previous_mask)
