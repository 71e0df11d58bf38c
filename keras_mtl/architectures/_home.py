"""Hierarchy of multi-gate experts (Wang et al., 2024)."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Part,
    beside,
    check_count,
    check_expert,
    check_features,
    check_units,
    end_towers,
    gate_features,
    is_units,
    make_experts,
    mix,
    read_inputs,
)
from keras_mtl.layers import ExpertNormalization, Experts, FeatureGate, Mixture, ParallelDense

Make: TypeAlias = Callable[[Mapping[str, Tensor], str], dict[str, Tensor]]
"""Makes experts for each column of features; the string ends their names."""


def home(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    num_experts: int = 2,
    expert: Part = (128,),
    tower: Part = (32,),
    activation: Any = "silu",
    name: str | None = "home",
) -> keras.Model:
    """Routes features through experts of all tasks, of a group of tasks, and of one task.

    Level 1 has experts for all (`s`) and for each group `c`:
    `z_c = mix_c(v; E_s, E_c) + self_c(v; E_c)`, `z_s = mix_s(v; E_s, all E_c) + self_s(v; E_s)`.
    Level 2 adds experts of each task k of group c:
    `y_k = h_k(mix_k([z_c, z_s]; E'_s, E'_c, E_k) + self_k(z_c; E_k))`. `mix` is a softmax gate;
    `self` (softmax, or a sigmoid where there is one expert) keeps a way open to the experts of
    a task with few labels. Every expert ends in batch normalization and the activation, so that
    none outweighs the others, and reads its features through a `FeatureGate` of its group.
    Choose it for many tasks that fall into known groups (clicks, watch times); with a few tasks
    `cgc` is simpler. The weights that gates give are the outputs of `<task>_gate`,
    `<task>_self_gate` and, at level 1, `shared_<group>_gate_0`.

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        groups: For each group its tasks; every task is in one group. Defaults to one group.
        num_experts: How many experts each group, each task and all tasks have, at each level.
            Defaults to `2`.
        expert: Units of each expert (all of a group are then computed together), or a recipe
            `features -> features` that makes new layers at each call, whose output is
            normalized too. Defaults to `(128,)`.
        tower: Units of each task's tower, or a recipe as above. Defaults to `(32,)`.
        activation: Activation of experts and of layers made from units. Defaults to `"silu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `groups` do not hold every
            task once, `num_experts` or `expert` is empty, or a tower ends in a shape that does
            not fit its task.
        TypeError: If an argument is of another kind.

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
    group_of = _check_groups(groups, tasks)

    make = functools.partial(_experts, count=num_experts, expert=expert, activation=activation)
    abstracts = _abstract(features, list(dict.fromkeys(group_of.values())), make)
    columns = _specialize(abstracts, group_of, make)

    outputs = end_towers(tower, columns, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _check_groups(
    groups: Mapping[str, Sequence[str]] | None, tasks: Sequence[Task]
) -> dict[str, str]:
    """For each task the word with which the names of its group's layers begin."""
    names = [task.name for task in tasks]
    groups = {"group": names} if groups is None else groups
    members = [task for group in groups.values() for task in group]
    if sorted(members) != sorted(names):
        raise ValueError(
            f"groups must hold every task once: the tasks are {names}; received {dict(groups)!r}."
        )
    found = {task: f"shared_{group}" for group, own in groups.items() for task in own}
    return {name: found[name] for name in names}


def _experts(
    columns: Mapping[str, Tensor], suffix: str, *, count: int, expert: Part, activation: Any
) -> dict[str, Tensor]:
    """Normalized experts of each column, which they read through a gate of their own."""
    views = {
        owner: FeatureGate(name=f"{owner}_feature_gate{suffix}")(features)
        for owner, features in columns.items()
    }
    if is_units(check_expert(expert)):
        made = {
            owner: _perceptrons(
                view, count, check_units(expert, "expert"), activation, owner, suffix
            )
            for owner, view in views.items()
        }
    else:
        groups = {owner: (view, count) for owner, view in views.items()}
        made = make_experts(groups, expert, activation, suffix)
    outputs = {}
    for owner, experts in made.items():
        experts = ExpertNormalization(name=f"{owner}_normalization{suffix}")(experts)
        activate = keras.layers.Activation(activation, name=f"{owner}_activation{suffix}")
        outputs[owner] = activate(experts)
    return outputs


def _perceptrons(
    view: Tensor, count: int, units: Sequence[int], activation: Any, owner: str, suffix: str
) -> Tensor:
    """Experts from units, linear at their end; a bias would be lost in the normalization."""
    name = f"{owner}_experts{suffix}"
    if len(units) == 1:
        return Experts(count, units, None, use_bias=False, name=name)(view)
    hidden = Experts(count, units[:-1], activation, name=f"{owner}_experts_hidden{suffix}")(view)
    return ParallelDense(units[-1], use_bias=False, name=name)(hidden)


def _abstract(features: Tensor, groups: Sequence[str], make: Make) -> dict[str, Tensor]:
    """Level 1: what all tasks, and each group of tasks, make of the features."""
    experts = make(dict.fromkeys(["shared", *groups], features), "_0")
    gated = gate_features(features, experts["shared"])
    outputs = {}
    for owner, own in experts.items():
        read = experts.values() if owner == "shared" else [experts["shared"], own]
        outputs[owner] = _with_self_gate(
            mix(gated, beside(*read), owner, "_0"), gated, own, owner, "_0"
        )
    return outputs


def _specialize(
    abstracts: dict[str, Tensor], group_of: dict[str, str], make: Make
) -> dict[str, Tensor]:
    """Level 2: what each task makes of its group's features and of those of all."""
    experts = make(abstracts | {task: abstracts[group] for task, group in group_of.items()}, "_1")
    outputs = {}
    for task, group in group_of.items():
        read = beside(experts["shared"], experts[group], experts[task])
        both = [abstracts[group], abstracts["shared"]]
        selector = keras.layers.Concatenate(name=f"{task}_selector")(both)
        gated = gate_features(selector, read, f"{task}_gate_features")
        mixture = mix(gated, read, task)
        gated = gate_features(abstracts[group], read, f"{task}_self_gate_features")
        outputs[task] = _with_self_gate(mixture, gated, experts[task], task)
    return outputs


def _with_self_gate(
    mixture: Tensor, gated: Tensor, own: Tensor, owner: str, suffix: str = ""
) -> Tensor:
    """Adds the owner's own experts to its mixture, weighed by a gate over them alone."""
    count = own.shape[-2]
    gate = keras.layers.Dense(
        count,
        activation="softmax" if count > 1 else "sigmoid",
        use_bias=False,
        dtype="float32",  # as every gate
        name=f"{owner}_self_gate{suffix}",
    )(gated)
    own = Mixture(name=f"{owner}_self_mixture{suffix}")([gate, own])
    return keras.layers.Add(name=f"{owner}_sum{suffix}")([mixture, own])
