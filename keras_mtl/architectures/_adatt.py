"""Adaptive task-to-task fusion (Li et al., 2023)."""

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
from keras_mtl.layers import LayerStitch, PickBranch


def adatt(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    num_levels: int = 2,
    num_shared_experts: int = 1,
    num_task_experts: int = 2,
    expert: Part = (128,),
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "adatt",
) -> keras.Model:
    """Lets each task draw on the experts of all tasks, beside a direct path from its experts.

    At level l, a unit t has the experts `e_ti`, whose outputs on its features `f_t(l-1)` are the
    rows of `E_t(l)`. There is a unit for each task and, if `num_shared_experts` is above 0, one
    that all tasks share. `E(l)` holds the rows of all units. With a softmax gate of the kernel
    `W_t` over all experts, and a learned vector `v_t` over the experts of the unit itself,

        g_t(l) = softmax(W_t(l) f_t(l-1))
        f_t(l) = g_t(l) E(l) + v_t(l) E_t(l)      f_t(0) = x
        y_t = h_t(f_t(L))

    where L is the last level and `h_t` the tower with its head. At the last level the shared unit
    has experts alone. The gate thus learns what to add to the task's features from other tasks.

    Choose it where `ple` helps, and some tasks should learn from certain other tasks directly,
    not only through shared experts. Not the right choice with many tasks: every gate weighs the
    experts of all tasks. `v_t` starts at `1 / num_task_experts`; with one expert it is 1 and not
    learned. The weights of gates are the outputs of the layers `<task>_gate_<l>` at the last level
    and `shared_<task>_gate_<l>` below it, the experts in the order of the tasks, the shared ones
    last. `v_t` is the variable of the layer `<task>_fusion_<l>` or `shared_<task>_fusion_<l>`.

    Guide:
        Kind: experts
        Shares: levels of experts of each task, which the gates of all tasks weigh
        Choose it when: tasks conflict, and some of them can learn from certain others
        Not when: there are many tasks, since each adds experts to all gates
        Source: Li et al. 2023, arXiv:2304.04959

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        num_levels: L, the number of levels. Defaults to `2`.
        num_shared_experts: Number of experts of the shared unit, at each level; with `0` there is
            no such unit, as in the paper's AdaTT-sp. Defaults to `1`.
        num_task_experts: Number of experts of each task, at each level. Defaults to `2`.
        expert: Units of each expert (all of a unit are then computed together), or a recipe
            `features -> features` that makes new layers at each call. Defaults to `(128,)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, there is no level or no
            expert of a task, `expert` is empty, or a tower ends in a shape that does not fit
            its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.adatt(keras.Input((8,)), tasks, num_shared_experts=3)
        >>> network.get_layer("income_gate_1").output.shape  # 2 of each task, 3 shared
        (None, 7)

    Reference:
        Li et al., AdaTT: Adaptive Task-to-Task Fusion Network for Multitask Learning in
        Recommendations, KDD 2023, arXiv:2304.04959, equations 1 to 10. There tasks may have
        different numbers of experts, and experts of a higher level fewer units. The authors' code
        draws `v_t` from `-m^(-1/2)` to `m^(-1/2)` for m experts, and learns it with one expert
        too if another unit has several. Features with more axes are gated as in `mmoe`.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    counts = {task.name: check_count(num_task_experts, "num_task_experts") for task in tasks}
    if check_count(num_shared_experts, "num_shared_experts", minimum=0):
        counts["shared"] = num_shared_experts
    fused = dict.fromkeys(counts, features)  # f, by task name, and "shared" below the last level
    for level in range(check_count(num_levels, "num_levels")):
        fused = _fuse(fused, counts, expert, activation, level, level == num_levels - 1)

    outputs = end_towers(tower, fused, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _fuse(
    features: dict[str, Tensor],
    counts: dict[str, int],
    expert: Part,
    activation: Activation,
    level: int,
    last: bool,
) -> dict[str, Tensor]:
    """Applies one level: from the features of each unit to the fusion of its gate and experts.

    Args:
        features: The features `f_t(l-1)`, by the name of the task and under `"shared"`.
        counts: The number of experts under each of these keys.
        expert: Units of each expert, or a recipe.
        activation: Activation of the layers made from units.
        level: Number of the level, from 0.
        last: Whether this is the last level, at which the shared unit has experts alone.
    """
    suffix = f"_{level}"
    # All experts reach all tasks, those of the last level too.
    owners = {key: key if key == "shared" else f"shared_{key}" for key in counts}
    groups = {owners[key]: (features[key], count) for key, count in counts.items()}
    experts = make_experts(groups, expert, activation, suffix)
    all_experts = join_experts(*experts.values())  # E, (batch, ..., num_experts, units)
    fused = {}
    for key, owner in owners.items():
        if last and key == "shared":
            continue
        # At the last level, a task's gate and vector reach the task alone.
        prefix = key if last else owner
        gated = gate_features(features[key], all_experts, f"{prefix}_gate_features{suffix}")
        mixture = mix_experts(gated, all_experts, prefix, suffix)  # g E
        direct = _combine(experts[owner], prefix, suffix)  # v E_t
        fused[key] = keras.layers.Add(name=f"{prefix}_sum{suffix}")([mixture, direct])
    return fused


def _combine(experts: Tensor, prefix: str, suffix: str) -> Tensor:
    """Combines the experts of one unit, `(batch, ..., num_experts, units)`, by learned numbers."""
    num_experts = experts.shape[-2]
    branches = [
        PickBranch(i, name=f"{prefix}_expert{suffix}_{i}_features")(experts)
        for i in range(num_experts)
    ]
    if num_experts == 1:
        return branches[0]
    return LayerStitch(1 / num_experts, name=f"{prefix}_fusion{suffix}")(branches)
