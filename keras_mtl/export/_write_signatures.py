"""A SavedModel of some functions."""

import os
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

_Resource = tf.saved_model.experimental.TrackableResource


def write_signatures(
    network: keras.Model, functions: Mapping[str, Any], folder: str | os.PathLike[str]
) -> None:
    """Writes concrete functions as the signatures of a SavedModel, with what they read.

    A `keras.export.ExportArchive` traces each signature twice, and each lookup table too: first to
    find what they read, and again while it writes. That is half of the time of an export with many
    columns and tasks (docs/keras_notes.md, pain 58).

    Args:
        network: The network, which holds the lookup tables.
        functions: Concrete functions, by the name of the signature.
        folder: Where to write.
    """
    module = tf.Module()
    variables = {id(v): v for function in functions.values() for v in function.variables}
    module.used_variables = list(variables.values())
    module.used_tables = _find_tables(network, functions, module.used_variables)
    tf.saved_model.save(module, folder, signatures=dict(functions))


def _find_tables(network: keras.Model, functions: Mapping[str, Any], variables: Any) -> list[Any]:
    """Returns the lookup tables of a network.

    The network itself is not written, since that would write each variable twice
    (docs/keras_notes.md, pain 58; keras#21258).
    """
    handles = {
        id(tensor)
        for function in functions.values()
        for tensor in function.captured_inputs
        if tensor.dtype == tf.resource
    }
    handles -= {id(variable.handle) for variable in variables}
    tables = _walk_tables(network, "checkpoint")
    if handles - {id(table.resource_handle) for table in tables}:
        # Some of them stand in lists: this walk finds them, but takes a second.
        tables = _walk_tables(network, "savedmodel")
    return tables


def _walk_tables(network: keras.Model, save_type: str) -> list[Any]:
    class View(tf.train.TrackableView):
        """Stops at tables, whose children are functions that would be traced."""

        @classmethod
        def children(cls, obj: Any, save_type: str = save_type, **kwargs: Any) -> Any:
            if isinstance(obj, _Resource):
                return {}
            try:
                return super().children(obj, save_type, **kwargs)
            except TypeError as error:
                # TensorFlow traces the methods of a layer that are functions, and leaves out
                # arguments that some of them need. No table is lost with those.
                if "missing a required argument" in str(error):
                    return {}
                raise

    holder = tf.Module()
    holder.network = network
    return [part for part in View(holder).descendants() if isinstance(part, _Resource)]
