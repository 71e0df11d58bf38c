"""Tasks supervised at different depths of one body (Søgaard and Goldberg, 2016)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Body,
    Stage,
    Tower,
    apply_part,
    check_features,
    end_towers,
    read_inputs,
    read_stages,
)


def hierarchical(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 128),
    levels: Mapping[str, int] | None = None,
    tower: Tower = (32,),
    shortcut: bool = False,
    activation: Activation = "relu",
    name: str | None = "hierarchical",
) -> keras.Model:
    """Ends each task at a stage of one body: low-level tasks below, high-level tasks above.

    With the stages `f_m` of the body, and the tower and head `head_k` of task k,

        h_m = f_m(h_{m-1})
        y_k = head_k(h_{level(k)})

    where `h_m` are the features after stage m.

    Choose it where one task builds on another, as named entities build on parts of speech: the
    lower stages then learn from all tasks, the upper ones from the high-level tasks alone. Where
    no task comes before another, choose `hard_sharing`.

    Guide:
        Kind: nothing or one body
        Shares: one body, at whose stages tasks end at different depths
        Choose it when: some tasks are lower-level than others
        Not when: no task comes before another
        Source: Søgaard and Goldberg 2016, doi:10.18653/v1/P16-2038

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. A body whose first stage is not given as units may read
            other types.
        tasks: The tasks, at least one, from low to high.
        body: Stages. Each is given as units, a recipe `features -> features`, or a Keras layer
            or model, which becomes part of the network. Defaults to `(128, 128)`.
        levels: The stage, counted from 0, at which each task ends, by task. At least one task
            must end at the last stage. Defaults to the stages spread evenly over the tasks in
            their order.
        tower: Units of each task's tower, or a recipe. A dict gives each task a tower of its own
            (`None` stands for all others). Defaults to `(32,)`.
        shortcut: Whether each stage after the first reads the network's features too, joined
            to those of the stage below. Defaults to `False`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, levels are not those of the
            tasks or leave the last stage unused, or a tower ends in a shape that does not fit
            its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> def encode(features):
        ...     layer = keras.layers.LSTM(8, return_sequences=True)
        ...     return keras.layers.Bidirectional(layer)(features)
        >>> tasks = [mtl.Task.tagging("pos", 17), mtl.Task.tagging("entity", 9)]
        >>> network = mtl.architectures.hierarchical(
        ...     keras.Input((None, 16)),
        ...     tasks,
        ...     body=[encode, encode, encode],
        ...     levels={"pos": 0, "entity": 2},
        ... )
        >>> network.output["entity"].shape
        (None, None, 9)

    Reference:
        Søgaard and Goldberg, Deep multi-task learning with low level tasks supervised at lower
        layers, ACL 2016, doi:10.18653/v1/P16-2038. The shortcut is that of Sanh et al., A
        Hierarchical Multi-task Approach for Learning Embeddings from Semantic Tasks, AAAI 2019,
        arXiv:1811.06031. Both train one task per batch; here all are trained together.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)
    stages = read_stages(body)
    levels = _read_levels(levels, tasks, len(stages))

    bottom, depths = features, []  # depths: the features after each stage
    for i, stage in enumerate(stages):
        if shortcut and i:
            features = _join_shortcut(features, bottom, f"shared_shortcut_{i}")
        features = _apply_stage(stage, features, f"shared_body_{i}", activation)
        depths.append(features)

    task_features = {task.name: depths[levels[task.name]] for task in tasks}
    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _apply_stage(stage: Stage, features: Tensor, name: str, activation: Activation) -> Tensor:
    """Applies a stage, of which one instance serves all tasks above it."""
    if isinstance(stage, int):
        check_features(features, name)
        return keras.layers.Dense(stage, activation=activation, name=name)(features)
    return apply_part(stage, features, name, activation, shared=True)


def _join_shortcut(features: Tensor, bottom: Tensor, name: str) -> Tensor:
    """Joins the features of the stage below and those of the network along the last axis.

    Raises:
        ValueError: If their shapes differ before the last axis.
    """
    if features.shape[:-1] != bottom.shape[:-1]:
        raise ValueError(
            f"{name}: the stage below ends in {features.shape}, which cannot be joined to the "
            f"network's features {bottom.shape}. Keep the axes in the middle, or set "
            "shortcut=False."
        )
    return keras.layers.Concatenate(name=name)([features, bottom])


def _read_levels(
    levels: Mapping[str, int] | None, tasks: Sequence[Task], num_stages: int
) -> Mapping[str, int]:
    """Returns the stage of each task; by default spreads the stages evenly over the tasks.

    Raises:
        ValueError: If a level is missing or is no stage, or no task ends at the last stage.
    """
    names = [task.name for task in tasks]
    if levels is None:
        # Task k ends at stage ceil((k + 1) num_stages / num_tasks) - 1: the last at the last.
        return {name: -(-(k + 1) * num_stages // len(names)) - 1 for k, name in enumerate(names)}
    if not isinstance(levels, Mapping) or set(levels) != set(names):
        raise ValueError(f"levels must give a stage for each task of {names}; received {levels!r}.")
    for name, level in levels.items():
        if type(level) is not int or not 0 <= level < num_stages:
            raise ValueError(
                f"task {name!r}: its level must be a stage from 0 to {num_stages - 1}; "
                f"received {level!r}."
            )
    if max(levels.values()) < num_stages - 1:
        raise ValueError(
            f"levels={dict(levels)} end below stage {num_stages - 1}, which no task would train. "
            "Raise a level, or leave the upper stages out of the body."
        )
    return levels
