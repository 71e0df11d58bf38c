"""A network that answers with NaN where its inputs are not finite."""

import keras
import numpy as np
from keras import ops

from keras_mtl._keras_internals import walk
from keras_mtl._types import Tensor
from keras_mtl.data._inputs._filled_rows import Flags, filled_columns


def guarded_network(network: keras.Model) -> keras.Model:
    """Returns a network that predicts NaN for each row of which an input is not finite.

    Each output looks at the inputs that it depends on, and at the columns that the network does
    not fill on purpose (see `filled_columns`). All layers are those of the network.

    Args:
        network: A functional model. Sparse inputs are not looked at.
    """
    finite = {
        id(tensor): _finite_rows(tensor, flags)
        for tensor, flags in zip(network.inputs, filled_columns(network), strict=True)
        if not flags.all() and not tensor.sparse
    }

    def guard(output: Tensor) -> Tensor:
        sources = {id(tensor) for tensor, node in walk([output]) if node.is_input}
        flags = [rows for source, rows in finite.items() if source in sources]
        if not flags:
            return output
        rows = flags[0]
        for more in flags[1:]:
            rows = ops.logical_and(rows, more)
        rows = ops.reshape(rows, (-1, *[1] * (len(output.shape) - 1)))
        return ops.where(rows, output, float("nan"))

    outputs = keras.tree.map_structure(guard, network.output)
    return keras.Model(network.input, outputs, name=network.name)


def _finite_rows(tensor: Tensor, filled: Flags) -> Tensor:
    """Returns which rows of an input are finite in the columns that are not filled, `(batch,)`."""
    if filled.any():
        tensor = ops.take(tensor, np.flatnonzero(~filled), axis=-1)
    finite = ops.isfinite(tensor)
    return ops.all(finite, axis=tuple(range(1, len(tensor.shape)))) if tensor.ndim > 1 else finite
