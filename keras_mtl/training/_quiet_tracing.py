"""Work without TensorFlow's warning of functions that are traced anew."""

import contextlib
import logging
from collections.abc import Iterator

import tensorflow as tf


class _NotRetracing(logging.Filter):
    """Lets all messages pass but that one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether a message is shown."""
        return "triggered tf.function retracing" not in record.getMessage()


@contextlib.contextmanager
def quiet_tracing() -> Iterator[None]:
    """Leaves out TensorFlow's warning of functions that are traced again and again.

    `predict` traces a model once for full batches and once for a shorter last one. TensorFlow
    counts the traces of all models together and warns from the fifth on, in the third model of a
    program (docs/keras_notes.md, 122). Nothing is wrong with any of them.
    """
    logger, quiet = tf.get_logger(), _NotRetracing()
    logger.addFilter(quiet)
    try:
        yield
    finally:
        logger.removeFilter(quiet)
