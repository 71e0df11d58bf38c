"""A branch that hardly any step takes."""

from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from keras_mtl._types import Tensor


def run_rarely(condition: Tensor, then: Callable[[], Sequence[Tensor]]) -> list[Tensor]:
    """Runs a function if a condition holds, and costs little where it does not.

    `tf.cond` becomes one operation for each tensor and variable that a branch reads and for each
    operation in it, of which the executor passes the dead ones on one by one. Here the branch
    stays one operation.

    Args:
        condition: A bool scalar.
        then: Returns tensors; it may assign variables.

    Returns:
        The tensors; where the function has not run, empty ones of unknown shape.
    """
    if tf.executing_eagerly():
        return list(then()) if bool(condition) else []
    taken = tf.function(then, autograph=False).get_concrete_function()
    inputs, outputs = taken.captured_inputs, taken.outputs

    def skip(*unused: Tensor) -> list[Tensor]:
        return [tf.zeros((0,) * len(tensor.shape), tensor.dtype) for tensor in outputs]

    signature = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in inputs]
    skipped = tf.function(skip, input_signature=signature, autograph=False)
    if tf.config.list_logical_devices("GPU"):
        # One operation runs on one device. There dead operations cost next to nothing: the time is
        # that of kernels, of which they start none.
        return list(tf.cond(condition, taken, lambda: skip()))
    results = tf.raw_ops.If(
        cond=condition,
        input=inputs,
        Tout=[tensor.dtype for tensor in outputs],
        then_branch=taken,
        else_branch=skipped.get_concrete_function(),
    )
    return list(results) if outputs else []


def pack(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Returns the entries of some tensors as one vector for each dtype that they have.

    A branch that is not taken costs time for each tensor that goes in or out.
    """
    return [
        tf.concat([tf.reshape(t, (-1,)) for t in tensors if t.dtype == dtype], 0)
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors)
    ]


def unpack(vectors: Sequence[Tensor], templates: Sequence[Tensor]) -> list[Tensor]:
    """Returns the tensors that `pack` was given, which had the dtypes and shapes of others."""
    parts: dict[tf.DType, Iterator[Tensor]] = {}
    for vector in vectors:
        shapes = [t.shape for t in templates if t.dtype == vector.dtype]
        parts[vector.dtype] = iter(tf.split(vector, [shape.num_elements() for shape in shapes]))
    return [tf.reshape(next(parts[t.dtype]), t.shape) for t in templates]
