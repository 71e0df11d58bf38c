"""Progressive layered extraction (Tang et al., 2020)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    check_count,
    end_towers,
    gate_features,
    join_experts,
    make_experts,
    mix_experts,
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
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "ple",
) -> keras.Model:
    """Stacks levels of shared and task-specific experts, which separate the tasks step by step.

    At level j the experts of task k read z_k(j-1), and the shared experts read z_s(j-1); at the
    first level all read the features x. A task's gate mixes the outputs S_kj of its own and of
    the shared experts with softmax weights w_kj. The shared gate, which all levels but the last
    have, mixes the outputs S_sj of all experts, those of all tasks and the shared ones. With
    the tower h_k after the last level N:

        z_kj = w_kj(z_k(j-1)) S_kj
        z_sj = w_sj(z_s(j-1)) S_sj
        y_k = h_k(z_kN)

    Choose it where `cgc` helps and there is data for more depth; it is the largest of the
    expert networks. The weights of gates are the outputs of the layers `<task>_gate_<j>` at the
    last level and `shared_<task>_gate_<j>` below it, where a task's layers reach other tasks
    too; a task's own experts come first.

    Guide:
        Kind: experts
        Shares: levels of shared experts, beside the experts of each task
        Choose it when: tasks conflict, need some features of their own, and depth helps
        Not when: one level does as well; take `cgc` instead
        Source: Tang et al. 2020, doi:10.1145/3383313.3412236

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        num_levels: Number of levels; one level is `cgc`. Defaults to `2`.
        num_shared_experts: Number of experts that all tasks use, at each level. Defaults to
            `2`.
        num_task_experts: Number of experts of each task, at each level. Defaults to `2`.
        expert: Units of each expert (all of a group are then computed together), or a recipe
            `features -> features` that makes new layers at each call. Defaults to `(128,)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, there is no level or no
            expert of a kind, `expert` is empty, or a tower ends in a shape that does not fit
            its task.
        TypeError: If an argument is of another type.

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
    mixtures = dict.fromkeys(counts, features)  # by task name, and "shared" below the last level
    for level in range(check_count(num_levels, "num_levels")):
        mixtures = _extract(mixtures, counts, expert, activation, level, level == num_levels - 1)

    outputs = end_towers(tower, mixtures, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _extract(
    features: dict[str, Tensor],
    counts: dict[str, int],
    expert: Part,
    activation: Activation,
    level: int,
    last: bool,
) -> dict[str, Tensor]:
    """Applies one extraction network: from the features of each key to its gate's mixture.

    Args:
        features: The mixtures of the level below, by the name of the task and under `"shared"`.
        counts: The number of experts under each of these keys.
        expert: Units of each expert, or a recipe.
        activation: Activation of the layers made from units.
        level: Number of the level, from 0.
        last: Whether this is the last level, which has no shared gate.
    """
    # Below the last level, a task's layers reach other tasks through the shared gate.
    prefixes = {key: key if last or key == "shared" else f"shared_{key}" for key in features}
    suffix = f"_{level}"
    groups = {prefixes[key]: (features[key], count) for key, count in counts.items()}
    experts_by_prefix = make_experts(groups, expert, activation, suffix)
    experts = {key: experts_by_prefix[prefix] for key, prefix in prefixes.items()}
    mixtures = {}
    for key, prefix in prefixes.items():
        if key != "shared":
            candidates = join_experts(experts[key], experts["shared"])
        elif last:
            continue
        else:
            candidates = join_experts(*experts.values())
        gated = gate_features(features[key], candidates, f"{prefix}_gate_features{suffix}")
        mixtures[key] = mix_experts(gated, candidates, prefix, suffix)
    return mixtures
