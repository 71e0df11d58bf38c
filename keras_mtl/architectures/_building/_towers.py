"""The towers and heads of the tasks, which end a network."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Head, MarginalHead, Task, attach_activation
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building._parts import (
    apply_part,
    check_features,
    check_separate_variables,
    check_units,
    is_units,
)
from keras_mtl.architectures._building._towers_by_name import Tower, towers_by_name
from keras_mtl.layers import Towers

_MIN_TOGETHER = 8
"""From this number of tasks on, equal towers made from units are computed together.

That halves the time until training begins, or better. Fewer towers are traced quickly, and layers
of their own can be read, frozen and served separately.
"""


def end_towers(
    tower: Tower, features: Mapping[str, Tensor], tasks: Sequence[Task], activation: Activation
) -> dict[str, Tensor]:
    """Gives each task a tower and a head of its own.

    Args:
        tower: Units, a recipe, or a dict of these by task.
        features: The features that each task's tower reads, by the name of the task.
        tasks: The tasks.
        activation: Activation of dense layers made from units.

    Returns:
        Predictions by the name of the task: the outputs of the network.

    Raises:
        ValueError: If a tower ends in a shape that does not fit its task, two towers share a live
            layer, or a dict of towers does not fit the tasks.
        TypeError: If a tower is neither units nor a recipe.
    """
    sums = [task for task in tasks if isinstance(task.head, MarginalHead)]
    of_sums = {task.name for task in sums}
    all_tasks, tasks = tasks, [task for task in tasks if task.name not in of_sums]
    parts = towers_by_name(tower, [task.name for task in tasks])
    units = {
        name: tuple(check_units(part, f"{name}_tower"))
        for name, part in parts.items()
        if is_units(part)
    }
    outputs = _towers_together(units, features, tasks, activation)
    for task in tasks:
        if task.name not in outputs:
            part = parts[task.name]
            top = apply_part(part, features[task.name], f"{task.name}_tower", activation)
            if isinstance(task.head, Head):
                check_features(top, f"{task.name}_head")
            outputs[task.name] = task.output(top)
        check_rank(task, outputs[task.name])
    outputs = {task.name: outputs[task.name] for task in tasks}
    check_separate_variables(outputs, features.values())
    outputs |= _sums_of_outputs(sums, outputs)
    return {task.name: outputs[task.name] for task in all_tasks}


def _sums_of_outputs(tasks: Sequence[Task], outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the predictions of `Task.marginal`, which have no towers.

    Raises:
        ValueError: If there is no output of the task whose classes they add up.
    """
    sums = {}
    for task in tasks:
        of = getattr(task.head, "of", "")
        if of not in outputs:
            raise ValueError(
                f"task {task.name!r}: its probabilities are sums of those of {of!r}, which has no "
                f"output here; there are {sorted(outputs)}. Add the task {of!r} to the list, or "
                "take an architecture that gives all tasks towers."
            )
        sums[task.name] = task.output(outputs[of])
    return sums


def _towers_together(
    units: Mapping[str, tuple[int, ...]],
    features: Mapping[str, Tensor],
    tasks: Sequence[Task],
    activation: Activation,
) -> dict[str, Tensor]:
    """Returns predictions of the tasks that have towers and heads of one shape.

    Args:
        units: Sizes of the layers of towers, without that of the head, by the name of the task;
            without towers that are recipes.
        features: The features that each task's tower reads, by the name of the task.
        tasks: The tasks.
        activation: Activation of the towers' layers.

    Returns:
        Predictions by the name of the task, only of tasks of which at least `_MIN_TOGETHER` have
        the same shape.
    """
    # Shape and dtype of the features, and units of tower and head, to the tasks with these.
    groups: dict[Any, list[tuple[Task, Head]]] = {}
    for task in tasks:
        if task.name not in units:
            continue
        reads = features[task.name]
        is_dense = keras.backend.is_float_dtype(reads.dtype) and reads.shape[-1] is not None
        if is_dense and isinstance(task.head, Head) and task.columns is None:
            key = (reads.shape, reads.dtype, units[task.name], task.head.num_logits)
            groups.setdefault(key, []).append((task, task.head))
    outputs = {}
    large_groups = [item for item in groups.items() if len(item[1]) >= _MIN_TOGETHER]
    for i, ((_, _, tower_units, head_units), group) in enumerate(large_groups):
        towers = Towers((*tower_units, head_units), activation, name=f"towers_{i}")
        group_logits = towers([features[task.name] for task, _ in group])
        for (task, head), logits in zip(group, group_logits, strict=True):
            outputs[task.name] = attach_activation(head, logits, task.name, task.scale)
    return outputs


def check_rank(task: Task, prediction: Tensor) -> None:
    """Checks that a prediction has as many axes as the task's labels need.

    Raises:
        ValueError: If it has not.
    """
    ranks = task.prediction_ranks
    if ranks and len(prediction.shape) not in ranks:
        raise ValueError(
            f"task {task.name!r}: its labels need a prediction of rank "
            f"{' or '.join(map(str, ranks))}, but the network "
            f"ends in one of shape {prediction.shape}. Give a tower, or a body, that pools (or "
            "keeps) the middle axes, such as one with keras.layers.GlobalAveragePooling1D()."
        )
