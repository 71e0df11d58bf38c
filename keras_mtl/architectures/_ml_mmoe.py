"""Several levels of multi-gate mixtures of experts."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    check_count,
    check_units,
    end_towers,
    gate_features,
    is_units,
    join_experts,
    make_experts,
    mix_experts,
    read_inputs,
)
from keras_mtl.layers import Experts, Mixture, ParallelDense


def ml_mmoe(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    num_levels: int = 2,
    num_experts: int = 8,
    expert: Part = (128,),
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "ml_mmoe",
) -> keras.Model:
    """Stacks levels of shared experts: each reads its own gate's mixture of the level below.

    An expert above the first level reads the level below it as a task of `mmoe` reads its
    experts. With the features x, and for expert i of level l the layers e and a gate of weights W:

        f[1, i] = e[1, i](x)
        g[l, i] = softmax(W[l, i] x)
        f[l, i] = e[l, i](sum_j g[l, i]_j f[l-1, j])    for l > 1

    All gates read the features x, and each task has a gate that mixes the experts of the last
    level for its tower. Choose it as the deeper relative of `mmoe` that `ple` has to beat;
    papers that compare such networks found it hard to train. The weights of a task's gate are the
    output of `<task>_gate`; those between levels are the output of `shared_gates_<level>`,
    `(batch, ..., num_experts, num_experts)`.

    Guide:
        Kind: experts
        Shares: several levels of experts, each with gates
        Choose it when: `mmoe` is too shallow
        Not when: there is little data
        Source: Ma et al. 2019, doi:10.1609/aaai.v33i01.3301216

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        num_levels: Number of levels; one level is `mmoe`. Defaults to `2`.
        num_experts: Number of experts at each level. Defaults to `8`.
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
            expert, `expert` is empty, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.ml_mmoe(keras.Input((8,)), tasks, num_experts=4)
        >>> network.get_layer("shared_gates_1").output.shape
        (None, 4, 4)

    Reference:
        This is the multi-level MMoE with which Ma et al. compare their method in SNR:
        Sub-Network Routing for Flexible Parameter Sharing in Multi-Task Learning, AAAI 2019,
        doi:10.1609/aaai.v33i01.3301216. Features with more axes are gated as in `mmoe`.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    check_count(num_experts, "num_experts")
    experts = make_experts({"shared": (features, num_experts)}, expert, activation, "_0")["shared"]
    gated = gate_features(features, experts)
    for level in range(1, check_count(num_levels, "num_levels")):
        climb = _climb_together if is_units(expert) else _climb
        experts = climb(gated, experts, expert, activation, level)

    mixtures = {task.name: mix_experts(gated, experts, task.name) for task in tasks}

    outputs = end_towers(tower, mixtures, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _climb_together(
    gated: Tensor, experts: Tensor, expert: Part, activation: Activation, level: int
) -> Tensor:
    """Builds the experts of the next level from units, all of them in one matrix product."""
    num_experts = experts.shape[-2]
    # One gate for each expert of the next level: (batch, ..., num_experts, num_experts).
    gates = Experts(
        num_experts,
        (num_experts,),
        "softmax",
        use_bias=False,
        dtype="float32",  # as every gate
        name=f"shared_gates_{level}",
    )(gated)
    x = Mixture(name=f"shared_mixtures_{level}")([gates, experts])
    for i, units in enumerate(check_units(expert, "expert")):
        x = ParallelDense(units, activation, name=f"shared_experts_{level}_{i}")(x)
    return x


def _climb(
    gated: Tensor, experts: Tensor, expert: Part, activation: Activation, level: int
) -> Tensor:
    """Builds the experts of the next level from a recipe, one after the other."""
    groups = {
        f"shared_{i}": (mix_experts(gated, experts, f"shared_{i}", f"_{level}"), 1)
        for i in range(experts.shape[-2])
    }
    outputs = make_experts(groups, expert, activation, f"_{level}")
    return join_experts(*outputs.values())
