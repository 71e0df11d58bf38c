"""A mixture of few experts, selected smoothly (Hazimeh et al., 2021)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation
from keras_mtl.architectures._building import (
    Part,
    Tower,
    check_count,
    end_towers,
    gate_features,
    make_experts,
    read_inputs,
)
from keras_mtl.layers import DSelectKGate, Mixture


def dselect_k(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    num_experts: int = 8,
    num_selected: int = 2,
    per_example: bool = True,
    entropy: float = 1e-6,
    expert: Part = (128,),
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "dselect_k",
) -> keras.Model:
    """Shares experts between tasks; each task's gate ends with at most `num_selected` of them.

    The tower of task k reads

        f_k(x) = sum_i q_k(x)_i f_i(x)

    where `f_i(x)` are the outputs of the experts, and `q_k(x)_i` their weights by the gate
    `layers.DSelectKGate` of task k.

    Choose it instead of `mmoe` to see which task needs which expert, or to prune the experts
    that a task does not use; with `per_example=False` the choice is the same for all examples.
    A selector needs some training before it decides, and decides sooner with a larger
    `entropy`. The weights that a gate gives are the output of the layer `<task>_gate`.

    Guide:
        Kind: experts
        Shares: experts, of which each task selects at most `num_selected`
        Choose it when: inference should use few experts
        Not when: there are few experts
        Source: Hazimeh et al. 2021, arXiv:2106.03760

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        num_experts: Number of experts, at least 2; it need not be a power of two. Defaults to
            `8`.
        num_selected: The `k` in the name: the largest number of experts that a task selects.
            Defaults to `2`.
        per_example: Whether the choice depends on the example. Defaults to `True`.
        entropy: Weight of the entropy penalty. Defaults to `1e-6`.
        expert: Units of each expert (all of a group are then computed together), or a recipe
            `features -> features` that makes new layers at each call. Defaults to `(128,)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, a number is out of its
            range, `expert` is empty, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.dselect_k(keras.Input((8,)), tasks, num_experts=5)
        >>> network.get_layer("married_gate").output.shape
        (None, 5)

    Reference:
        Hazimeh et al., DSelect-k: Differentiable Selection in the Mixture of Experts with
        Applications to Multi-Task Learning, NeurIPS 2021, arXiv:2106.03760. `DSelectKGate` says
        how penalties are averaged. Features with more axes are gated as in `mmoe`.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    check_count(num_experts, "num_experts", minimum=2)
    check_count(num_selected, "num_selected")
    experts = make_experts({"shared": (features, num_experts)}, expert, activation)["shared"]

    gated = gate_features(features, experts)
    mixtures = {}
    for task in tasks:
        gate = DSelectKGate(
            num_experts,
            num_selected,
            per_example,
            entropy=entropy,
            dtype="float32",  # products of small probabilities vanish in half precision
            name=f"{task.name}_gate",
        )(gated)
        mixtures[task.name] = Mixture(name=f"{task.name}_mixture")([gate, experts])

    outputs = end_towers(tower, mixtures, tasks, activation)
    return keras.Model(inputs, outputs, name=name)
