"""SavedModels with one signature for all tasks, and one per task."""

import keyword
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.data._inputs._filled_rows import filled_columns
from keras_mtl.export._beside._describe_interface import describe_interface
from keras_mtl.export._beside._interface import ALL_TASKS, TF_EXAMPLE
from keras_mtl.export._beside._write_beside import Beside
from keras_mtl.export._decisions import thresholds_of
from keras_mtl.export._guarded import Columns
from keras_mtl.export._make_functions import make_functions
from keras_mtl.export._read_formats import read_formats
from keras_mtl.export._tf_example import make_tf_example
from keras_mtl.export._version_folder import check_version_folder, new_version
from keras_mtl.export._write_signatures import write_signatures
from keras_mtl.training import BalancedModel

# Names that TensorFlow keeps as they are as arguments of a signature, except keywords of Python:
# it changes others silently, or fails (docs/keras_notes.md, pain 82).
_ARGUMENT = re.compile(r"(?!self$)[A-Za-z][A-Za-z0-9_]*")


def saved_model(
    network: keras.Model,
    tasks: Sequence[Task],
    path: str | os.PathLike[str],
    *,
    check_inputs: bool = True,
    examples: Any = None,
    tf_example: bool | Mapping[str, Any] = False,
    formats: Sequence[str] = (),
) -> pathlib.Path:
    """Writes a network as a TensorFlow SavedModel that serves all tasks together or one alone.

    The signature `serving_default` returns all tasks. For each task, a signature of its name
    returns this task alone and takes only the inputs that its part of the graph reads. Outputs
    are named after tasks and are float32. Inputs are named after the keys of the network's dict
    of inputs, or otherwise after its `keras.Input`s; a single unnamed input is called `inputs`.
    They keep their dtypes and shapes: with preprocessing layers in the graph, a server takes raw
    table columns.

    A row with NaN or an infinite number is answered with NaN by each task that reads it, unless a
    layer of the network fills the number, as that of `data.tabular_encoder(missing=...)` does. The
    network alone would often answer it with a plausible constant, because a ReLU makes 0 of NaN.
    Other rows of the request are answered as ever. (An encoder without `missing` refuses the
    request with an error that names the column.)

    A task with a `threshold` has a second output, `<task>_decision`, int32: 1 where the probability
    is above the threshold (that of its label, where there is one for each), 0 where it is not, and
    -1 where it is NaN.

    Choose it to serve a network: loading it needs TensorFlow alone, not this package. Choose
    `network.save("x.keras")` instead to continue training.

    Beside the model lie files which `keras_mtl.serving` and others read before they load it:
    `outputs.json` (inputs, signatures and tasks, with their kinds, thresholds and scales),
    `recorded.json` (rows and answers, for a test after loading) and `manifest.json` (the SHA-256
    of every other file, so that a changed or incomplete copy is noticed). TensorFlow Serving runs
    the requests of `assets.extra/tf_serving_warmup_requests` before a version answers, one row and
    many for each signature, so that no first request is slow.

    The version is written to a folder beside its final one and moved by one rename at the end,
    so an export that is killed leaves nothing that a server could load.

    Args:
        network: A functional model whose outputs are named after the tasks, or the
            `BalancedModel` that trains one; the balancer is left out.
        tasks: The tasks of the network, in any order.
        path: The folder of the new version: `<model>/<version>`, such as
            `"saved_models/census/1"`.
        check_inputs: Whether rows that are not finite are answered with NaN. Defaults to `True`;
            `False` leaves the answer to the network.
        examples: A few rows for `recorded.json`: values by name of the input, or of the only input.
            They lie there in clear text, so never pass rows of people. Defaults to `None`: rows are
            made up from the inputs, with words of the lookup layers behind them.
        tf_example: Whether there is a signature `tf_example`, too: it takes one vector of strings
            `examples`, serialized `tf.train.Example`s with a feature per input, and answers all
            tasks. A dict of values by name of the input makes these features optional. Choose it
            for clients that have examples already; other servers of the version do not need it.
            An example holds int64, float32 and bytes, so float64 inputs lose digits. Defaults to
            `False`.
        formats: Other formats of the model in the same version: `"onnx"` and `"litert"`, as
            `export.onnx` and `export.litert` write them. They are written before the version is
            visible, and if one cannot be exact, there is no version. Defaults to none.

    Returns:
        The folder.

    Raises:
        TypeError: If `network` is not a functional Keras model.
        ValueError: If the outputs are not exactly the tasks, a name cannot be served, the last
            part of `path` is not a version number, no rows were made up that the network takes
            (pass `examples` then), or a format is unknown or cannot express the network.
        FileExistsError: If the version exists; the message names the next free one.

    Example:
        >>> import tempfile
        >>> import tensorflow as tf
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> features = keras.Input((4,), name="features")
        >>> network = keras.Model(features, {task.name: task.output(features) for task in tasks})
        >>> folder = saved_model(network, tasks, tempfile.mkdtemp() + "/shop/1")
        >>> served = tf.saved_model.load(folder)
        >>> sorted(served.signatures)
        ['click', 'price', 'serving_default']
        >>> served.signatures["click"](features=tf.zeros((3, 4)))["click"].shape
        TensorShape([3, 1])
    """
    tasks = check_tasks(tasks)
    if isinstance(network, BalancedModel):
        network = network.network
    outputs = _check_outputs(network, tasks)
    inputs = _name_inputs(network)
    folder = check_version_folder(path)
    defaults = _read_defaults(tf_example, tasks)
    add_formats = read_formats(formats)
    guarded = _guarded_columns(network, inputs) if check_inputs else None
    functions = make_functions(inputs, outputs, guarded or {}, thresholds_of(tasks))
    if defaults is not None:
        functions[TF_EXAMPLE] = make_tf_example(functions[ALL_TASKS], defaults)
    interface = describe_interface(tasks, inputs, outputs, functions, guarded, defaults)
    beside = Beside(interface, inputs, functions[ALL_TASKS], examples)
    with new_version(folder) as unfinished:
        write_signatures(network, functions, unfinished)
        beside.write(unfinished)
        for add in add_formats:
            add(unfinished)
    return folder


def _check_outputs(network: Any, tasks: tuple[Task, ...]) -> dict[str, Tensor]:
    """Checks that the network's outputs are exactly the tasks; returns them in task order."""
    outputs = getattr(network, "output", None) if _is_functional(network) else None
    names = [task.name for task in tasks]
    if outputs is None:
        raise TypeError(
            "network must be a functional keras.Model whose outputs are a dict from task name "
            f"to prediction; received {network!r}."
        )
    # Nested outputs fail in Keras's export with another error (docs/keras_notes.md, pain 7).
    if not isinstance(outputs, dict) or set(outputs) != set(names):
        received = sorted(outputs) if isinstance(outputs, dict) else f"a {type(outputs).__name__}"
        raise ValueError(
            f"The network's outputs must be a dict with exactly the tasks {sorted(names)}; "
            f"received {received}."
        )
    return {name: outputs[name] for name in names}


def _read_defaults(
    tf_example: bool | Mapping[str, Any], tasks: Sequence[Task]
) -> Mapping[str, Any] | None:
    """Returns the defaults of a signature that reads examples, or `None` without one.

    Raises:
        TypeError: If the argument is something else.
        ValueError: If a task has the name of the signature.
    """
    if not isinstance(tf_example, bool | Mapping):
        raise TypeError(
            "tf_example must be True, False, or a dict of defaults by name of the input; received "
            f"{tf_example!r}."
        )
    if tf_example is False:
        return None
    if TF_EXAMPLE in {task.name for task in tasks}:
        raise ValueError(
            f"task {TF_EXAMPLE!r} has the name of the signature that reads examples, and could not "
            "be served alone. Rename the task, or export without tf_example."
        )
    return {} if tf_example is True else tf_example


def _is_functional(network: Any) -> bool:
    return isinstance(network, keras.Model) and bool(getattr(network, "inputs", None))


def _name_inputs(network: keras.Model) -> dict[str, Tensor]:
    """Returns the network's inputs by the names that a request uses for them."""
    # Keras would name the entries of a dict after their input layers, not after their keys
    # (docs/keras_notes.md, pain 57; keras#19771).
    if isinstance(network.input, dict):
        named = dict(network.input)
    else:
        named = {}
        for index, tensor in enumerate(network.inputs):
            name = "inputs" if len(network.inputs) == 1 else f"inputs_{index}"
            # Keras numbers the unnamed inputs of a process, so their names change between runs
            # (docs/keras_notes.md, pain 71).
            named[name if tensor.name.startswith("keras_tensor") else tensor.name] = tensor
    if {id(tensor) for tensor in named.values()} != {id(tensor) for tensor in network.inputs}:
        raise ValueError(
            "A network to be served has one input, or a flat dict or a flat list of inputs; "
            f"received inputs {network.input!r}."
        )
    wrong = [name for name in named if not _ARGUMENT.fullmatch(name) or keyword.iskeyword(name)]
    if wrong:
        raise ValueError(
            f"Inputs {wrong} cannot be asked for by name in a signature: a name has letters, "
            "digits and '_', begins with a letter and is no keyword of Python. The keys of a dict "
            "of inputs name them, so keras.Model({new_name: input, ...}, network.output) renames "
            "without training again."
        )
    return named


def _guarded_columns(network: keras.Model, inputs: Mapping[str, Tensor]) -> dict[str, Columns]:
    """Returns by name of an input the columns that the network does not fill."""
    filled = dict(zip(map(id, network.inputs), filled_columns(network), strict=True))
    return {
        name: np.flatnonzero(~filled[id(x)]) if filled[id(x)].any() else None
        for name, x in inputs.items()
        if not filled[id(x)].all()
    }
