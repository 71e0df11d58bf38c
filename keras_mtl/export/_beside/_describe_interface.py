"""outputs.json of a network, its tasks and its signatures."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.export._beside._interface import (
    TF_EXAMPLE,
    InputSpec,
    Interface,
    SignatureSpec,
    TaskSpec,
    TfExampleSpec,
)
from keras_mtl.export._decisions import SUFFIX
from keras_mtl.export._guarded import Columns
from keras_mtl.export._tf_example import ARGUMENT


def describe_interface(
    tasks: Sequence[Task],
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    functions: Mapping[str, Any],
    guarded: Mapping[str, Columns] | None,
    defaults: Mapping[str, Any] | None,
) -> Interface:
    """Returns what a version takes and answers.

    Args:
        tasks: The tasks.
        inputs: The symbolic inputs by name.
        outputs: The symbolic outputs by task.
        functions: The concrete functions by signature.
        guarded: By name of an input, the columns in which a row that is not finite is answered
            with NaN, `None` for all of them; `None` if inputs are not checked.
        defaults: The defaults of the signature that reads examples; `None` without one.
    """
    of_examples = TfExampleSpec(TF_EXAMPLE, ARGUMENT, tuple(defaults or ()))
    return Interface(
        {
            name: InputSpec(
                keras.backend.standardize_dtype(x.dtype),
                (None, *x.shape[1:]),
                None if guarded is None else _filled(name, x, guarded),
            )
            for name, x in inputs.items()
        },
        {
            name: SignatureSpec(
                tuple(function.structured_input_signature[0][0]),
                tuple(function.structured_outputs),
            )
            for name, function in functions.items()
            if defaults is None or name != TF_EXAMPLE
        },
        {task.name: _describe_task(task, outputs[task.name]) for task in tasks},
        None if defaults is None else of_examples,
    )


def _filled(name: str, x: Tensor, guarded: Mapping[str, Columns]) -> bool | tuple[int, ...]:
    """Returns where the network fills numbers of an input that are not finite."""
    if name not in guarded:
        return True
    columns = guarded[name]
    if columns is None:
        return False
    filled = np.setdiff1d(np.arange(x.shape[-1]), columns)
    return tuple(int(place) for place in filled)


def _describe_task(task: Task, output: Tensor) -> TaskSpec:
    described = task.described()
    names = described.labels.names if described.labels else None
    threshold = task.threshold
    return TaskSpec(
        kind=described.kind,
        signature=task.name,
        shape=(None, *output.shape[1:]),
        dtype="float32",
        columns=tuple(task.columns) if task.columns else None,
        classes=tuple(names) if names else None,
        logits=described.logits,
        threshold=threshold if threshold is None else _plain(threshold),
        decision=None if threshold is None else task.name + SUFFIX,
        scale=task.scale.get_config() if task.scale else None,
        levels=described.levels if len(described.levels) == described.width else None,
    )


def _plain(threshold: Any) -> float | tuple[float, ...]:
    """Returns a threshold, or one per entry, as numbers of Python."""
    if np.ndim(threshold):
        return tuple(float(cut) for cut in threshold)
    return float(threshold)
