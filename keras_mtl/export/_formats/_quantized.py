"""Networks that Keras has quantized, which are exact as SavedModels alone."""

import tensorflow as tf

from keras_mtl.export._formats._served import ALL, Served, operations

_SMALL = {tf.int8, tf.uint8, tf.dtypes.experimental.int4, tf.dtypes.experimental.uint4}
_FLOAT8 = {tf.dtypes.experimental.float8_e4m3fn, tf.dtypes.experimental.float8_e5m2}


def refuse_quantized(served: Served, what: str, road: str) -> None:
    """Checks that Keras has not quantized the network.

    LiteRT converts int4 weights and answers wrongly (docs/keras_notes.md, pain 130).

    Args:
        served: The SavedModel.
        what: What was to be made of it, for the message.
        road: What to call in its place, for the message.

    Raises:
        ValueError: If a variable is of an integer type of one byte or less, or numbers become
            float8 on the way.
    """
    function = served.signatures[ALL]
    names = sorted({v.name for v in function.graph.variables if v.dtype in _SMALL})
    if not names and _has_float8(served):
        names = ["numbers cast to float8"]
    if names:
        raise ValueError(
            f"{str(served.folder)!r} holds a network that Keras has quantized ({names[0]}), and "
            f"{what} of it would be wrong, some without an error. Quantize after the conversion, "
            f"from float32: export the network before `quantize` is called, and call {road}."
        )


def _has_float8(served: Served) -> bool:
    """Returns whether an operation has float8 numbers."""
    codes = {dtype.as_datatype_enum for dtype in _FLOAT8}
    return any(value.type in codes for node in operations(served) for value in node.attr.values())
