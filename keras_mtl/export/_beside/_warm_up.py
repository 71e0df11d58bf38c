"""Requests that TensorFlow Serving runs before a version answers, so that no first one is slow."""

import functools
import itertools
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from keras_mtl.export._beside._interface import Interface
from keras_mtl.export._beside._recorded import Rows
from keras_mtl.export._tf_example import serialize_rows

PLACE = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000  # TensorFlow Serving refuses a version with more
LARGE_BATCH = 32
_MAX_BYTES = 1_000_000  # of the rows of a record

_Field = descriptor_pb2.FieldDescriptorProto


def write_warm_up(
    folder: pathlib.Path, rows: Rows, interface: Interface, has_fixed_batch: bool
) -> None:
    """Writes requests for each signature, with one row and with many.

    Args:
        folder: The unfinished folder of the version, beside which it will stand.
        rows: Rows by input.
        interface: What the version takes and answers.
        has_fixed_batch: Whether the network takes as many rows as there are, and no others.
    """
    (folder / PLACE).parent.mkdir(exist_ok=True)
    model = folder.absolute().parent.name
    requests = itertools.islice(_requests(rows, interface, has_fixed_batch), MAX_RECORDS)
    with tf.io.TFRecordWriter(str(folder / PLACE)) as writer:
        for signature, inputs in requests:
            writer.write(make_record(model, signature, inputs))


def _requests(
    rows: Rows, interface: Interface, has_fixed_batch: bool
) -> Iterator[tuple[str, Rows]]:
    """Yields signatures with inputs: single rows first, since records are limited."""
    num_rows = len(next(iter(rows.values())))
    row_bytes = sum(values[:1].nbytes for values in rows.values())
    large = max(1, min(LARGE_BATCH, _MAX_BYTES // max(1, row_bytes)))
    for size in [num_rows] if has_fixed_batch else sorted({1, large}):
        batch = {name: values[np.arange(size) % num_rows] for name, values in rows.items()}
        for name, signature in interface.signatures.items():
            yield name, {column: batch[column] for column in signature.inputs}
        if interface.tf_example is not None:
            yield (
                interface.tf_example.signature,
                {interface.tf_example.input: serialize_rows(batch)},
            )


def make_record(model: str, signature: str, inputs: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Returns a serialized `tensorflow.serving.PredictionLog` of one request.

    Args:
        model: The name of the model; TensorFlow Serving does not compare it.
        signature: The name of the signature.
        inputs: Arrays by input.
    """
    log = _message_class("PredictionLog")()
    request = log.predict_log.request
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, values in inputs.items():
        request.inputs[name] = tf.make_tensor_proto(values).SerializeToString()
    record: bytes = log.SerializeToString(deterministic=True)
    return record


@functools.cache
def _message_class(name: str) -> Any:
    """Returns the class of a message of TensorFlow Serving's protocol.

    The package `tensorflow-serving-api` has these classes. It is not needed for four messages of
    which five fields are set. A field of type `TensorProto` has the same bytes as one of type
    `bytes` that holds the serialized message.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_mtl/warm_up.proto", package="keras_mtl.warm_up", syntax="proto3"
    )
    entry = {"key": (1, "string"), "value": (2, "bytes")}
    _add(file, "ModelSpec", {"name": (1, "string"), "signature_name": (3, "string")})
    request = _add(file, "PredictRequest", {"model_spec": (1, "ModelSpec")})
    nested = _add(request, "InputsEntry", entry)
    nested.options.map_entry = True
    request.field.add(
        name="inputs",
        number=2,
        label=_Field.LABEL_REPEATED,
        type=_Field.TYPE_MESSAGE,
        type_name=".keras_mtl.warm_up.PredictRequest.InputsEntry",
    )
    _add(file, "PredictLog", {"request": (1, "PredictRequest")})
    _add(file, "PredictionLog", {"predict_log": (6, "PredictLog")})
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"keras_mtl.warm_up.{name}"))


def _add(parent: Any, name: str, fields: Mapping[str, tuple[int, str]]) -> Any:
    """Adds a message type to a file, or to another message, and returns it."""
    types = {"string": _Field.TYPE_STRING, "bytes": _Field.TYPE_BYTES}
    is_file = isinstance(parent, descriptor_pb2.FileDescriptorProto)
    message = (parent.message_type if is_file else parent.nested_type).add(name=name)
    for field, (number, kind) in fields.items():
        added = message.field.add(name=field, number=number, label=_Field.LABEL_OPTIONAL)
        added.type = types.get(kind, _Field.TYPE_MESSAGE)
        if kind not in types:
            added.type_name = f".keras_mtl.warm_up.{kind}"
    return message
