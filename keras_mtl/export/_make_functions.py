"""The functions that an export serves: one for all tasks, and one per task."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import walk
from keras_mtl._types import Tensor
from keras_mtl.export._beside._interface import ALL_TASKS
from keras_mtl.export._decisions import add_decisions
from keras_mtl.export._graph_parts import GraphParts
from keras_mtl.export._guarded import Columns, guard, take_columns


def make_functions(
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


def _inputs_of(output: Tensor) -> set[int]:
    """Returns the ids of the `keras.Input`s from which the graph computes `output`."""
    return {id(tensor) for tensor, node in walk([output]) if node.is_input}
