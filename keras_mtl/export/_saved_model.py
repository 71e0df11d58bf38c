"""SavedModels with one signature for all tasks, and one per task."""

import keyword
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._keras_internals import walk
from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.data._inputs._filled_rows import filled_columns
from keras_mtl.export._beside._describe_interface import describe_interface
from keras_mtl.export._beside._interface import ALL_TASKS
from keras_mtl.export._beside._write_beside import record, write_beside
from keras_mtl.export._decisions import add_decisions, thresholds_of
from keras_mtl.export._graph_parts import GraphParts
from keras_mtl.export._guarded import Columns, guard, take_columns
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

    Beside the model lie three files, which `keras_mtl.serving` and others read before they load it:
    `outputs.json` (inputs, signatures and tasks, with their kinds, thresholds and scales),
    `recorded.json` (rows and answers, for a test after loading) and `manifest.json` (the SHA-256
    of every other file, so that a changed or incomplete copy is noticed).

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

    Returns:
        The folder.

    Raises:
        TypeError: If `network` is not a functional Keras model.
        ValueError: If the outputs are not exactly the tasks, a name cannot be served, the last
            part of `path` is not a version number, or no rows were made up that the network
            takes; pass `examples` then.
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
    guarded = _guarded_columns(network, inputs) if check_inputs else None
    functions = _make_functions(inputs, outputs, guarded or {}, thresholds_of(tasks))
    interface = describe_interface(tasks, inputs, outputs, functions, guarded)
    rows, answers = record(inputs, functions, examples)
    with new_version(folder) as unfinished:
        write_signatures(network, functions, unfinished)
        write_beside(unfinished, interface, rows, answers)
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


def _make_functions(
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    guarded: Mapping[str, Columns],
    thresholds: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """Returns a concrete function for all tasks, and one for each of them, by signature.

    Args:
        inputs: The inputs by name.
        outputs: The outputs by task.
        guarded: By name of an input, the columns in which a row that is not finite is answered
            with NaN.
        thresholds: By task, the predictions above which the decision is yes.
    """
    parts = GraphParts(inputs, outputs)
    # A request for one task need not send the inputs that only other tasks read.
    needed = {task: _inputs_of(output) for task, output in outputs.items()}
    names = {
        task: [name for name, x in inputs.items() if id(x) in needed[task]] for task in outputs
    }
    reads = {
        task: {name: guarded[name] for name in names[task] if name in guarded} for task in outputs
    }
    return {
        ALL_TASKS: _trace(parts, list(inputs), list(outputs), reads, thresholds),
        **{task: _trace(parts, names[task], [task], reads, thresholds) for task in outputs},
    }


def _trace(
    parts: GraphParts,
    names: Sequence[str],
    tasks: Sequence[str],
    reads: Mapping[str, Mapping[str, Columns]],
    thresholds: Mapping[str, Sequence[float]],
) -> Any:
    """Returns a concrete function from named inputs to named predictions and decisions.

    Args:
        parts: Computes the outputs.
        names: The inputs of the signature.
        tasks: The tasks that it answers.
        reads: By task, the inputs that are guarded, with their columns.
        thresholds: By task, the predictions above which the decision is yes.
    """
    columns = {name: places for task in tasks for name, places in reads[task].items()}

    def predict(values: dict[str, Tensor]) -> dict[str, Tensor]:
        predictions = parts.run(values, tasks)
        # A head in float16 would export float16 (docs/keras_notes.md, pain 33; keras#18666).
        floats = {name: keras.ops.cast(value, "float32") for name, value in predictions.items()}
        guarded = {task: list(reads[task]) for task in tasks}
        return add_decisions(guard(floats, take_columns(values, columns), guarded), thresholds)

    specs = {name: parts.specs[name] for name in names}
    return tf.function(predict, autograph=False).get_concrete_function(specs)


def _guarded_columns(network: keras.Model, inputs: Mapping[str, Tensor]) -> dict[str, Columns]:
    """Returns by name of an input the columns that the network does not fill."""
    filled = dict(zip(map(id, network.inputs), filled_columns(network), strict=True))
    return {
        name: np.flatnonzero(~filled[id(x)]) if filled[id(x)].any() else None
        for name, x in inputs.items()
        if not filled[id(x)].all()
    }


def _inputs_of(output: Tensor) -> set[int]:
    """Returns the ids of the `keras.Input`s from which the graph computes `output`."""
    return {id(tensor) for tensor, node in walk([output]) if node.is_input}
