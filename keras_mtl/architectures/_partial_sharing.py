"""Networks some of whose layers are shared, by all tasks or by groups of them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_mtl._keras_internals import replay
from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Body,
    Stage,
    Tower,
    check_separate_variables,
    end_towers,
    new_stage,
    read_inputs,
    read_stages,
)

Sharing: TypeAlias = Sequence[bool | Sequence[Sequence[str]]]
"""For each stage: whether all tasks share it, or which groups of tasks do."""


def partial_sharing(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    sharing: Sharing | None = None,
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "partial_sharing",
) -> keras.Model:
    """Shares some hidden layers between all tasks, or between groups of them, and others not.

    At each stage, the tasks of one group apply the same layer to their own features; every
    other task has its own layer. Shared stages at the bottom make a tree that branches
    (`hard_sharing` branches once, at the top); a shared stage above one that is not shared is
    one map that is applied to each task's features.

    Choose it where it is known, or has been measured, which tasks belong together at which
    depth. Where it is not known, `cross_stitch` or `mmoe` find it in training.

    Guide:
        Kind: nothing or one body
        Shares: some layers of the body
        Choose it when: tasks branch early, but not at the input
        Not when: it is unknown how tasks relate
        Source: Vandenhende et al. 2020, arXiv:1904.02920

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. A body whose first stage is not units may read other types.
        tasks: The tasks, at least one.
        body: Stages, each of them units, a recipe `features -> features` that makes new layers
            at each call, or a Keras layer or model, of which each group gets a copy with its
            weights. Defaults to `(128, 64)`.
        sharing: For each stage `True` (all tasks share it), `False` (none do), or groups of
            names: `[["buy", "return"]]` lets these two share it; a task in no group has its own
            layer. Defaults to `True` for the lower half of the stages.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `sharing` does not have one
            entry per stage, a group names an unknown task or one task twice, the features of a
            group's tasks differ in shape, or a tower ends in a shape that does not fit its
            task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary(name) for name in ("click", "buy", "return")]
        >>> network = mtl.architectures.partial_sharing(
        ...     keras.Input((8,)),
        ...     tasks,
        ...     body=(32, 16, 8),
        ...     sharing=[True, [["buy", "return"]], False],
        ... )
        >>> sorted(layer.name for layer in network.layers if layer.name.endswith("body_1"))
        ['click_body_1', 'shared_buy_return_body_1']

    Reference:
        Vandenhende et al., Branched Multi-Task Networks: Deciding What Layers To Share, BMVC
        2020, arXiv:1904.02920. There the tree is derived from the affinity of tasks; here it is
        an argument, and a stage may be shared above one that is not.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)
    stages = read_stages(body)
    names = [task.name for task in tasks]

    task_features = dict.fromkeys(names, features)
    for i, groups in enumerate(_read_sharing(sharing, len(stages), names)):
        below = task_features
        task_features = {}
        for group in groups:
            part = f"{_prefix(group, names)}_body_{i}"
            group_features = {task: below[task] for task in group}
            task_features |= _apply_to_group(stages[i], group_features, part, activation)
        # The tasks of a group share their layers by intention: one output of each is checked.
        outputs = {_prefix(group, names): task_features[group[0]] for group in groups}
        check_separate_variables(outputs, below.values())

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _apply_to_group(
    stage: Stage, features: Mapping[str, Tensor], name: str, activation: Activation
) -> dict[str, Tensor]:
    """Maps the features of a group's tasks through one stage."""
    first = next(iter(features.values()))
    if all(tensor is first for tensor in features.values()):  # not yet apart: one call for all
        return dict.fromkeys(features, new_stage(stage, first, name, activation))
    shapes = {task: tensor.shape for task, tensor in features.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"{name}: one layer cannot read features of the shapes {shapes}.")
    output = new_stage(stage, first, name, activation)
    return {
        task: output if tensor is first else replay(first, output, tensor)
        for task, tensor in features.items()
    }


def _prefix(group: Sequence[str], names: Sequence[str]) -> str:
    """Returns the prefix of the names of a group's layers: its only task, or `shared`."""
    if len(group) == 1:
        return group[0]
    return "shared" if len(group) == len(names) else "_".join(["shared", *group])


def _read_sharing(sharing: Any, num_stages: int, names: list[str]) -> list[list[list[str]]]:
    """Returns the groups of each stage, which hold each task once."""
    if sharing is None:
        sharing = [i < (num_stages + 1) // 2 for i in range(num_stages)]
    if not isinstance(sharing, list | tuple) or len(sharing) != num_stages:
        raise ValueError(
            f"sharing must hold one entry for each of the {num_stages} stages of the body, each "
            f"True, False or groups of tasks; received {sharing!r}."
        )
    return [_read_groups(entry, f"sharing[{i}]", names) for i, entry in enumerate(sharing)]


def _read_groups(entry: Any, where: str, names: list[str]) -> list[list[str]]:
    """Returns the groups of one stage, in the order of the tasks."""
    if isinstance(entry, bool):
        return [names] if entry else [[name] for name in names]
    if not isinstance(entry, list | tuple) or any(
        not isinstance(group, list | tuple) for group in entry
    ):
        raise TypeError(
            f"{where} must be True, False or groups of tasks such as [['buy', 'return']]; "
            f"received {entry!r}."
        )
    grouped = [name for group in entry for name in group]
    if not set(grouped) <= set(names) or len(set(grouped)) < len(grouped) or [] in map(list, entry):
        raise ValueError(
            f"{where} must hold groups of the tasks {names}, each task once; received {entry!r}."
        )
    alone = [[name] for name in names if name not in grouped]
    groups = [[name for name in names if name in group] for group in entry]
    return sorted(groups + alone, key=lambda group: names.index(group[0]))
