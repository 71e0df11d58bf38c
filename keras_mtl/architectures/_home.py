"""Hierarchy of multi-gate experts (Wang et al., 2024)."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    check_count,
    check_expert,
    check_features,
    check_units,
    end_towers,
    gate_features,
    is_units,
    join_experts,
    make_experts,
    mix_experts,
    read_inputs,
)
from keras_mtl.layers import ExpertNormalization, Experts, FeatureGate, Mixture, ParallelDense

BuildExperts: TypeAlias = Callable[[Mapping[str, Tensor], str], dict[str, Tensor]]
"""Builds one set of experts for each owner, from the features that it reads, by owner.

An owner is the first part of layer names: `shared` for all tasks, `shared_<group>` or a task.
The string ends the names of the layers. The experts' features are `(batch, ..., num_experts,
units)`.
"""


def home(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    num_experts: int = 2,
    expert: Part = (128,),
    tower: Tower = (32,),
    activation: Activation = "silu",
    name: str | None = "home",
) -> keras.Model:
    """Routes features through experts of all tasks, of a group of tasks, and of one task.

    Level 1 has experts `E_s` for all tasks and `E_c` for each group c of tasks. From the
    network's features `v` it computes features of all tasks and of each group:

        z_s = mix_s(v; E_s, all E_c) + self_s(v; E_s)
        z_c = mix_c(v; E_s, E_c) + self_c(v; E_c)

    Level 2 has experts `E'_s` and `E'_c` of the same kinds, which read `z_s` and `z_c`, and
    experts `E_k` of each task k of group c, which read `z_c`:

        y_k = h_k(mix_k([z_c, z_s]; E'_s, E'_c, E_k) + self_k(z_c; E_k))

    `mix(v; E)` weighs the experts `E` by a softmax gate that reads `v`. `self` does the same (by
    a sigmoid where there is one expert) with the experts of the group or task alone, which keeps
    a path open to the experts of a task with few labels. `h_k` is the tower with its head. Every
    expert ends in batch normalization and the activation, so that none outweighs the others, and
    reads its features through a `FeatureGate`, which all experts of one group or task share.

    Choose it for many tasks that fall into known groups (clicks, watch times); with a few tasks
    `cgc` is simpler. The weights that gates give are the outputs of the layers `<task>_gate`,
    `<task>_self_gate` and, at level 1, `shared_<group>_gate_0`.

    Guide:
        Kind: experts
        Shares: experts in a hierarchy: for all tasks, for groups of tasks and for single tasks
        Choose it when: there are many tasks, and they fall into known groups
        Not when: the tasks do not form groups
        Source: Wang et al. 2024, arXiv:2408.05430

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        groups: For each group its tasks; every task is in one group. Defaults to one group.
        num_experts: Number of experts that each group, each task and all tasks together have,
            at each level. Defaults to `2`.
        expert: Units of each expert (all of a group are then computed together), or a recipe
            `features -> features` that makes new layers at each call, whose output is
            normalized too. Defaults to `(128,)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of experts and of layers made from units. Defaults to `"silu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `groups` do not hold every
            task once, `num_experts` or `expert` is empty, or a tower ends in a shape that does
            not fit its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary(name) for name in ("like", "share", "long_view")]
        >>> groups = {"act": ["like", "share"], "watch": ["long_view"]}
        >>> network = mtl.architectures.home(keras.Input((8,)), tasks, groups=groups)
        >>> network.get_layer("shared_act_gate_0").output.shape  # 2 for all, 2 of the group
        (None, 4)
        >>> network.get_layer("like_gate").output.shape
        (None, 6)

    Reference:
        Wang et al., HoME: Hierarchy of Multi-Gate Experts for Multi-Task Learning at Kuaishou,
        arXiv:2408.05430. Features with more axes are gated as in `mmoe`. Where a batch is split
        over replicas, batch statistics are those of a replica.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    check_features(features, "home")
    check_count(num_experts, "num_experts")
    group_of = _read_groups(groups, tasks)

    build_experts = functools.partial(
        _build_experts, num_experts=num_experts, expert=expert, activation=activation
    )
    group_features = _first_level(features, list(dict.fromkeys(group_of.values())), build_experts)
    task_features = _second_level(group_features, group_of, build_experts)

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _read_groups(
    groups: Mapping[str, Sequence[str]] | None, tasks: Sequence[Task]
) -> dict[str, str]:
    """Returns, for each task, the first part of the names of its group's layers.

    Raises:
        ValueError: If a task is in no group or in several, or a group holds another name.
    """
    names = [task.name for task in tasks]
    groups = {"group": names} if groups is None else groups
    grouped = [task for members in groups.values() for task in members]
    if sorted(grouped) != sorted(names):
        raise ValueError(
            f"groups must hold every task once: the tasks are {names}; received {dict(groups)!r}."
        )
    group_of = {task: f"shared_{group}" for group, members in groups.items() for task in members}
    return {name: group_of[name] for name in names}  # in the order of the tasks


def _first_level(
    features: Tensor, groups: Sequence[str], build_experts: BuildExperts
) -> dict[str, Tensor]:
    """Computes `z_s`, under `shared`, and `z_c` of each group, `(batch, ..., units)`."""
    experts = build_experts(dict.fromkeys(["shared", *groups], features), "_0")
    gated = gate_features(features, experts["shared"])
    outputs = {}
    for owner, owner_experts in experts.items():
        mixed = experts.values() if owner == "shared" else [experts["shared"], owner_experts]
        mixture = mix_experts(gated, join_experts(*mixed), owner, "_0")
        outputs[owner] = _add_self_gate(mixture, gated, owner_experts, owner, "_0")
    return outputs


def _second_level(
    group_features: dict[str, Tensor], group_of: dict[str, str], build_experts: BuildExperts
) -> dict[str, Tensor]:
    """Computes the features that each task's tower reads, `(batch, ..., units)`."""
    reads = group_features | {task: group_features[group] for task, group in group_of.items()}
    experts = build_experts(reads, "_1")
    outputs = {}
    for task, group in group_of.items():
        # 3 num_experts of them.
        mixed = join_experts(experts["shared"], experts[group], experts[task])
        both = [group_features[group], group_features["shared"]]  # [z_c, z_s]
        selector = keras.layers.Concatenate(name=f"{task}_selector")(both)
        mixture = mix_experts(gate_features(selector, mixed, f"{task}_gate_features"), mixed, task)
        gated = gate_features(group_features[group], mixed, f"{task}_self_gate_features")
        outputs[task] = _add_self_gate(mixture, gated, experts[task], task)
    return outputs


def _add_self_gate(
    mixture: Tensor, gated: Tensor, experts: Tensor, owner: str, suffix: str = ""
) -> Tensor:
    """Adds to a mixture the owner's experts, weighed by a gate over them alone.

    Args:
        mixture: Features `(batch, ..., units)`.
        gated: The features that the gate reads, from `gate_features`.
        experts: The experts of the owner alone, `(batch, ..., num_experts, units)`.
        owner: The first part of the names of layers.
        suffix: The last part of the names.

    Returns:
        Features `(batch, ..., units)`.
    """
    num_experts = experts.shape[-2]
    gate = keras.layers.Dense(
        num_experts,
        activation="softmax" if num_experts > 1 else "sigmoid",
        use_bias=False,
        dtype="float32",  # as every gate
        name=f"{owner}_self_gate{suffix}",
    )(gated)
    self_mixture = Mixture(name=f"{owner}_self_mixture{suffix}")([gate, experts])
    return keras.layers.Add(name=f"{owner}_sum{suffix}")([mixture, self_mixture])


def _build_experts(
    reads: Mapping[str, Tensor],
    suffix: str,
    *,
    num_experts: int,
    expert: Part,
    activation: Activation,
) -> dict[str, Tensor]:
    """Builds the normalized experts of each owner, which read through one gate per owner."""
    views = {  # the owner's scaled features, (batch, ..., in)
        owner: FeatureGate(name=f"{owner}_feature_gate{suffix}")(features)
        for owner, features in reads.items()
    }
    if is_units(check_expert(expert)):
        units = check_units(expert, "expert")
        experts = {
            owner: _perceptrons(view, num_experts, units, activation, owner, suffix)
            for owner, view in views.items()
        }
    else:
        groups = {owner: (view, num_experts) for owner, view in views.items()}
        experts = make_experts(groups, expert, activation, suffix)
    outputs = {}
    for owner, linear in experts.items():  # (batch, ..., num_experts, units)
        normalized = ExpertNormalization(name=f"{owner}_normalization{suffix}")(linear)
        activate = keras.layers.Activation(activation, name=f"{owner}_activation{suffix}")
        outputs[owner] = activate(normalized)
    return outputs


def _perceptrons(
    view: Tensor,
    num_experts: int,
    units: Sequence[int],
    activation: Activation,
    owner: str,
    suffix: str,
) -> Tensor:
    """Computes experts from units, `(batch, ..., num_experts, units[-1])`, linear at their end."""
    name = f"{owner}_experts{suffix}"
    # The last layer has no bias: the normalization after it would subtract it again.
    if len(units) == 1:
        return Experts(num_experts, units, None, use_bias=False, name=name)(view)
    hidden = Experts(num_experts, units[:-1], activation, name=f"{owner}_experts_hidden{suffix}")(
        view
    )
    return ParallelDense(units[-1], use_bias=False, name=name)(hidden)
