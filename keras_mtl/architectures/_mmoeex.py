"""Multi-gate mixture of experts with exclusivity (Aoki et al., 2021)."""

import random
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
from keras_mtl.layers import MaskedGate, Mixture


def mmoeex(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    num_experts: int = 8,
    fraction: float = 0.5,
    rule: str = "exclusivity",
    seed: int = 0,
    expert: Part = (128,),
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "mmoeex",
) -> keras.Model:
    """Shares experts as `mmoe` does, but reserves some for one task, or closes them to one task.

    For each expert of a `fraction` of the experts one task is drawn at random. By exclusivity
    the expert serves that task alone; by exclusion it serves all tasks but that one. A gate is
    a softmax over the experts that serve its task.

    Choose it where the experts of `mmoe` become alike: tasks that see different experts keep
    them different. `cgc` reserves experts by design instead of at random. The weights of a gate
    are the output of the layer `<task>_gate`; an expert that does not serve the task has the
    weight 0.

    Guide:
        Kind: experts
        Shares: experts, some of them closed to some tasks
        Choose it when: the experts of `mmoe` become too alike
        Not when: there are few experts
        Source: Aoki et al. 2021, arXiv:2106.10595

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        num_experts: Number of experts. Defaults to `8`.
        fraction: Fraction of the experts for which a task is drawn, from 0 to 1. Defaults to
            `0.5`.
        rule: `"exclusivity"` or `"exclusion"`. Defaults to `"exclusivity"`.
        seed: Seed of the draws. Defaults to `0`.
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
            range, `expert` is empty, a task is left without an expert, or a tower ends in a
            shape that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.mmoeex(keras.Input((8,)), tasks, num_experts=4)
        >>> network.get_layer("income_gate").allowed
        (False, False, True, True)

    Reference:
        Aoki et al., Heterogeneous Multi-Task Learning with Expert Diversity, BIOKDD 2021,
        arXiv:2106.10595, and the authors' code. There an expert is closed by gate weights that
        start at 0, which a softmax does not treat as closed and which training opens; here it
        stays closed. The two-step training of the paper is not part of the architecture.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    check_count(num_experts, "num_experts")
    experts = make_experts({"shared": (features, num_experts)}, expert, activation)["shared"]

    gated = gate_features(features, experts)
    allowed = _draw_allowed_experts(tasks, num_experts, fraction, rule, seed)
    mixtures = {}
    for task in tasks:
        gate = MaskedGate(allowed[task.name], dtype="float32", name=f"{task.name}_gate")(gated)
        mixtures[task.name] = Mixture(name=f"{task.name}_mixture")([gate, experts])

    outputs = end_towers(tower, mixtures, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _draw_allowed_experts(
    tasks: Sequence[Task], num_experts: int, fraction: float, rule: str, seed: int
) -> dict[str, list[bool]]:
    """Draws which experts serve each task."""
    if rule not in ("exclusivity", "exclusion") or not 0 <= fraction <= 1:
        raise ValueError(
            'rule must be "exclusivity" or "exclusion", and fraction from 0 to 1; '
            f"received {rule!r} and {fraction!r}."
        )
    generator = random.Random(seed)
    allowed = {task.name: [True] * num_experts for task in tasks}
    for i in range(int(num_experts * fraction)):
        drawn_name = generator.choice(list(tasks)).name
        for name, serves in allowed.items():
            is_served = (name == drawn_name) == (rule == "exclusivity")
            serves[i] = is_served or len(tasks) == 1  # exclusion must not close all to one task
    for name, serves in allowed.items():
        if not any(serves):
            raise ValueError(
                f"task {name!r}: no expert is left to serve it (fraction={fraction}, rule="
                f"{rule!r}, seed={seed}); give a smaller fraction, more experts or another seed."
            )
    return allowed
