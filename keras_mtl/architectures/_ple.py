"""Progressive layered extraction (Tang et al., 2020)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Part,
    beside,
    check_count,
    end_towers,
    gate_features,
    make_experts,
    mix,
    read_inputs,
)


def ple(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    num_levels: int = 2,
    num_shared_experts: int = 2,
    num_task_experts: int = 2,
    expert: Part = (128,),
    tower: Part = (32,),
    activation: Any = "relu",
    name: str | None = "ple",
) -> keras.Model:
    """Stacks levels of shared and task-specific experts that part from each other step by step.

    At level j the experts of task k read `g_k,j-1` and the shared ones `g_s,j-1`. A task's gate
    mixes its own experts and the shared ones, `g_k,j = w_k,j(g_k,j-1) S_k,j`; the shared gate,
    which all levels but the last have, mixes all experts of all tasks and the shared ones.
    `y_k = h_k(g_k,N)`. Choose it where `cgc` helps and there is data for more depth; it is
    the largest of the expert networks. The weights that gates give are the outputs of the
    layers `<task>_gate_<j>` at the last level and `shared_<task>_gate_<j>` below, where what
    belongs to a task reaches others too; a task's own experts come first.

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        num_levels: How many levels; one level is `cgc`. Defaults to `2`.
        num_shared_experts: How many experts all tasks use, at each level. Defaults to `2`.
        num_task_experts: How many experts each task has, at each level. Defaults to `2`.
        expert: Units of each expert (all of a group are then computed together), or a recipe
            `features -> features` that makes new layers at each call. Defaults to `(128,)`.
        tower: Units of each task's tower, or a recipe as above. Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, there is no level or no
            expert of a kind, `expert` is empty, or a tower ends in a shape that does not fit
            its task.
        TypeError: If an argument is of another kind.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.ple(keras.Input((8,)), tasks, num_shared_experts=3)
        >>> network.get_layer("shared_gate_0").output.shape  # 2 of each task, 3 shared
        (None, 7)
        >>> network.get_layer("income_gate_1").output.shape
        (None, 5)

    Reference:
        Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL)
        Model for Personalized Recommendations, RecSys 2020, doi:10.1145/3383313.3412236,
        equations 6 and 7. There tasks may have different numbers of experts. Features with more
        axes are gated as in `mmoe`.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    counts = {task.name: check_count(num_task_experts, "num_task_experts") for task in tasks}
    counts["shared"] = check_count(num_shared_experts, "num_shared_experts")
    columns = dict.fromkeys(counts, features)
    for level in range(check_count(num_levels, "num_levels")):
        columns = _extract(columns, counts, expert, activation, level, level == num_levels - 1)

    outputs = end_towers(tower, columns, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _extract(
    columns: dict[str, Tensor],
    counts: dict[str, int],
    expert: Part,
    activation: Any,
    level: int,
    last: bool,
) -> dict[str, Tensor]:
    """One extraction network: from each column's features to its gate's mixture."""
    # Below the last level, what belongs to a task reaches other tasks through the shared gate.
    owners = {key: key if last or key == "shared" else f"shared_{key}" for key in columns}
    suffix = f"_{level}"
    groups = {owners[key]: (columns[key], count) for key, count in counts.items()}
    made = make_experts(groups, expert, activation, suffix)
    experts = {key: made[owner] for key, owner in owners.items()}
    mixtures = {}
    for key, owner in owners.items():
        if key != "shared":
            read = beside(experts[key], experts["shared"])
        elif last:
            continue
        else:
            read = beside(*experts.values())
        gated = gate_features(columns[key], read, f"{owner}_gate_features{suffix}")
        mixtures[key] = mix(gated, read, owner, suffix)
    return mixtures
