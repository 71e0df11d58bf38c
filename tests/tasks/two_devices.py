"""The scopes of one device and of two replicas, in one process."""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf


def one_and_two_devices() -> Iterator[tuple[str, Any]]:
    """Yields "one" and "two", each with a context; call it before TensorFlow makes a variable."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    yield "one", contextlib.nullcontext()
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    yield "two", tf.distribute.MirroredStrategy(names).scope()
