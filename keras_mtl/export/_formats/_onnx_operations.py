"""Operations of TensorFlow that tf2onnx cannot convert, or not for all dtypes."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from keras_mtl.export._formats._extras import import_extra

Table: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Keys and values of a lookup table."""

_SUFFIXES = {"S": "string", "O": "string", "U": "string", "i": "int64", "f": "float"}
_TABLES_DOMAIN = "ai.onnx.ml"


def make_operations(
    tables: Mapping[bytes, Table],
) -> dict[str, tuple[Callable[..., Any], list[Any]]]:
    """Returns the conversions that tf2onnx takes as `custom_op_handlers`, by operation.

    Args:
        tables: Keys and values of the lookup tables, by their names in the frozen graph.
    """

    def look_up(context: Any, node: Any) -> None:
        _look_up(context, node, tables)

    converters = {
        "Bucketize": _bucketize,
        "Expm1": _expm1,
        "Log1p": _log1p,
        "LookupTableFindV2": look_up,
        "OneHot": _one_hot,
    }
    return {name: (_as_handler(convert), []) for name, convert in converters.items()}


def _as_handler(convert: Callable[[Any, Any], None]) -> Callable[..., Any]:
    """Returns a conversion with the arguments that tf2onnx passes."""

    def handle(context: Any, node: Any, name: str, args: Any) -> None:
        convert(context, node)

    return handle


def _look_up(context: Any, node: Any, tables: Mapping[bytes, Table]) -> None:
    """Replaces a lookup by a `LabelEncoder`, for keys and values of any of its dtypes.

    tf2onnx knows tables between strings and numbers alone, and not those of `IntegerLookup`
    (docs/keras_notes.md, pain 125).
    """
    keys, values = tables[_origin(node.inputs[0]).get_attr_value("shared_name")]
    default = _origin(node.inputs[2]).get_tensor_value(as_list=False)
    of_keys, of_values = _SUFFIXES[keys.dtype.kind], _SUFFIXES[values.dtype.kind]
    attributes = {
        f"keys_{of_keys}s": keys,
        f"values_{of_values}s": values,
        f"default_{of_values}": default.item(),
    }
    _replace(context, node, "LabelEncoder", node.input[1], attributes, _TABLES_DOMAIN)


def _bucketize(context: Any, node: Any) -> None:
    """Replaces `Bucketize`, that of `keras.layers.Discretization`, by comparisons.

    The index is the number of boundaries that the value is not below: NaN gets the last one, as in
    TensorFlow.
    """
    utils = import_extra("tf2onnx.utils", "onnx")

    tensor = node.input[0]
    dtype = utils.map_onnx_to_numpy_type(context.get_dtype(tensor))
    # TensorFlow compares whole numbers with the boundaries as float32 numbers.
    compared = np.float64 if dtype == np.float64 else np.float32
    name = utils.make_name(node.name)
    boundaries = context.make_const(
        f"{name}_boundaries", np.array(node.get_attr_value("boundaries"), compared)
    )
    last_axis = context.make_const(f"{name}_axis", np.array([-1], np.int64))
    to = _onnx_dtype(np.dtype(compared).name)
    number = context.make_node("Cast", [tensor], attr={"to": to}).output[0]
    column = context.make_node("Unsqueeze", [number, last_axis.output[0]]).output[0]
    below = context.make_node("Less", [column, boundaries.output[0]]).output[0]
    passed = context.make_node("Not", [below]).output[0]
    ones = context.make_node("Cast", [passed], attr={"to": _onnx_dtype("int32")}).output[0]
    _replace(context, node, "ReduceSum", [ones, last_axis.output[0]], {"keepdims": 0})


def _one_hot(context: Any, node: Any) -> None:
    """Replaces a one-hot encoding by comparisons with the numbers of the entries.

    The operation of ONNX counts negative codes from the end; that of TensorFlow has zeros for them
    (docs/keras_notes.md, pain 126).

    Raises:
        ValueError: If the number of entries is not constant, or the entries are not the last axis.
    """
    utils = import_extra("tf2onnx.utils", "onnx")

    depth = _origin(node.inputs[1])
    if not depth.is_const() or node.get_attr_value("axis") != -1:
        raise ValueError(f"OneHot {node.name!r} has no constant depth, or not its last axis.")
    name = utils.make_name(node.name)
    entries = np.arange(int(depth.get_tensor_value()), dtype=np.int64)
    codes = context.make_node("Cast", [node.input[0]], attr={"to": _onnx_dtype("int64")})
    last_axis = context.make_const(f"{name}_axis", np.array([-1], np.int64))
    column = context.make_node("Unsqueeze", [codes.output[0], last_axis.output[0]])
    numbers = context.make_const(f"{name}_entries", entries)
    is_entry = context.make_node("Equal", [column.output[0], numbers.output[0]])
    _replace(context, node, "Where", [is_entry.output[0], node.input[2], node.input[3]], {})


def _expm1(context: Any, node: Any) -> None:
    """Replaces exp(x) - 1, in which small x cancel, by tanh(x / 2) (exp(x) + 1)."""
    utils = import_extra("tf2onnx.utils", "onnx")
    x, name = node.input[0], utils.make_name(node.name)
    dtype = utils.map_onnx_to_numpy_type(context.get_dtype(x))
    half = context.make_const(f"{name}_half", np.array(0.5, dtype)).output[0]
    one = context.make_const(f"{name}_one", np.array(1.0, dtype)).output[0]
    halved = context.make_node("Mul", [x, half]).output[0]
    tanh = context.make_node("Tanh", [halved]).output[0]
    exponential = context.make_node("Exp", [x]).output[0]
    rest = context.make_node("Add", [exponential, one]).output[0]
    _replace(context, node, "Mul", [tanh, rest], {})


def _log1p(context: Any, node: Any) -> None:
    """Replaces log(1 + x), in which small x are lost, by x log(u) / (u - 1) for u = 1 + x.

    The rounding of u is in both factors and cancels (Kahan); where u is 1, the result is x.
    Of infinity, it is NaN.
    """
    utils = import_extra("tf2onnx.utils", "onnx")
    x, name = node.input[0], utils.make_name(node.name)
    dtype = utils.map_onnx_to_numpy_type(context.get_dtype(x))
    one = context.make_const(f"{name}_one", np.array(1.0, dtype)).output[0]
    u = context.make_node("Add", [x, one]).output[0]
    rounded = context.make_node("Sub", [u, one]).output[0]
    is_lost = context.make_node("Equal", [u, one]).output[0]
    divisor = context.make_node("Where", [is_lost, one, rounded]).output[0]
    logarithm = context.make_node("Log", [u]).output[0]
    ratio = context.make_node("Div", [x, divisor]).output[0]
    product = context.make_node("Mul", [logarithm, ratio]).output[0]
    _replace(context, node, "Where", [is_lost, x, product], {})


def _onnx_dtype(name: str) -> Any:
    """Returns the number of a dtype in ONNX."""
    utils = import_extra("tf2onnx.utils", "onnx")

    return utils.map_numpy_to_onnx_dtype(np.dtype(name))


def _replace(
    context: Any, node: Any, operation: str, inputs: Any, attributes: Any, domain: str = ""
) -> None:
    """Replaces a node by one of another operation, with the same output."""
    output, shape = node.output[0], context.get_shape(node.output[0])
    dtype = context.get_dtype(output)
    context.remove_node(node.name)
    context.make_node(
        operation,
        [inputs] if isinstance(inputs, str) else inputs,
        attr=attributes,
        outputs=[output],
        domain=domain,
        shapes=[shape],
        dtypes=[dtype],
        name=node.name,
    )


def _origin(node: Any) -> Any:
    """Returns the node above all identities."""
    while node.type == "Identity":
        node = node.inputs[0]
    return node
