"""What an ONNX file may contain to be loaded."""

from collections.abc import Iterator
from typing import Any

from keras_mtl.export._beside._refused import RefusedVersion

_DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}
"""The operators of the ONNX standard. Others would need a library of their own."""


def audit_onnx(content: bytes) -> None:
    """Checks that a model has standard operators only and reads no other file.

    An ONNX file of standard operators computes and does nothing else: it opens no file, apart from
    tensors that are stored beside it ("external data"), which could name any file of the machine.

    Args:
        content: The bytes of the file.

    Raises:
        RefusedVersion: If it is no ONNX model, or contains more than that.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise RefusedVersion("model.onnx is no ONNX model.") from error
    if not model.HasField("graph"):
        raise RefusedVersion("model.onnx is no ONNX model.")
    domains = {entry.domain for entry in model.opset_import}
    local = {(function.domain, function.name) for function in model.functions}
    for message in _messages(model):
        name = message.DESCRIPTOR.name
        if name == "NodeProto":
            if message.domain not in _DOMAINS and (message.domain, message.op_type) not in local:
                raise RefusedVersion(
                    f"model.onnx contains the operator {message.domain}.{message.op_type}, which "
                    "is not of the ONNX standard."
                )
        elif name == "TensorProto" and (message.external_data or message.data_location):
            raise RefusedVersion("model.onnx stores a tensor in another file.")
    if not domains & {"", "ai.onnx"}:
        raise RefusedVersion("model.onnx states no version of the ONNX operators.")


def _messages(message: Any) -> Iterator[Any]:
    """Yields a message of Protocol Buffers and all messages inside it."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                yield from _messages(inner)
