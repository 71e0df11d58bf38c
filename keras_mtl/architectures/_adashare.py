"""Adaptive sharing of blocks (Sun et al., 2020)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Body,
    Part,
    Stage,
    Tower,
    apply_part,
    end_towers,
    read_inputs,
    read_stages,
    reusable_stage,
)
from keras_mtl.layers import PickBranch, SelectOrSkip, StackBranches


def adashare(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    stem: Part | keras.layers.Layer = (128,),
    body: Body = (128, 128, 128),
    sparsity: float = 0.05,
    sharing: float = 0.05,
    temperature: float = 1.0,
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "adashare",
) -> keras.Model:
    """Runs one residual body for all tasks, and learns which task skips which of its blocks.

    After block l the features of task k are

        x_k,l = x_k,l-1 + u_l,k F_l(x_k,l-1)

    where all tasks share the block `F_l`, and `u_l,k` is the decision of task k to select the
    block or to skip it. In training `u_l,k` is drawn from the Gumbel-softmax distribution;
    otherwise it is 0 or 1 (`layers.SelectOrSkip`). Two penalties make tasks skip blocks and
    agree about which.

    Choose it for a deep residual body that must not grow with the number of tasks, where tasks
    need different depths. `keras_mtl.export.harden(network)` returns the network without the
    skipped blocks, which is then to be trained again. The decisions are
    `network.get_layer("shared_policy_<l>").selected`.

    Guide:
        Kind: branching
        Shares: one body, whose blocks each task uses or skips
        Choose it when: a residual body is deep, and must stay within a budget
        Not when: the body is shallow
        Source: Sun et al. 2020, arXiv:1911.12423

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        stem: The layers before the blocks, which make features of the blocks' width: units, a
            recipe `features -> features`, or a Keras layer or model. Defaults to `(128,)`.
        body: The blocks. Each is given as units (as many as the last of the stem), a recipe, or
            a Keras layer or model, and keeps the shape of its features. Defaults to
            `(128, 128, 128)`.
        sparsity: Weight of the cross-entropy of skipping, a sum over tasks and a mean over
            blocks. Defaults to `0.05`.
        sharing: Weight of the differences between the tasks' probabilities of selecting, a sum
            over pairs of tasks and over blocks. Defaults to `0.05`.
        temperature: Temperature of the draws, a variable of each `shared_policy_<l>` that a
            callback may lower with time. Defaults to `1.0`.
        tower: Units of each task's tower, or a recipe that makes new layers at each call. A dict
            gives each task a tower of its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, a block changes the shape,
            a number is out of its range, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.adashare(keras.Input((8,)), tasks)
        >>> network.get_layer("shared_policy_0").selected.tolist()  # before training
        [True, True]

    Reference:
        Sun et al., AdaShare: Learning What To Share For Efficient Deep Multi-Task Learning,
        NeurIPS 2020, arXiv:1911.12423, and the authors' code. There weights and decisions are
        trained in turn, decisions are learned from the last block on, and the temperature
        begins at 5 and falls by a factor of 0.965. The code takes differences of logits; here
        they are differences of probabilities.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(stem, features, "shared_stem", activation, shared=True)
    stacked = StackBranches(name="shared_tasks")([features] * len(tasks))  # batch, ..., K, units
    blocks = read_stages(body)
    for i, block in enumerate(blocks):
        policy = SelectOrSkip(
            sparsity / len(blocks), sharing, temperature, name=f"shared_policy_{i}"
        )
        stacked = policy([stacked, _apply_block(block, stacked, activation, i)])
    task_features = {
        task.name: PickBranch(k, name=f"{task.name}_column")(stacked)
        for k, task in enumerate(tasks)
    }

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _apply_block(block: Stage, stacked: Tensor, activation: Activation, i: int) -> Tensor:
    """Applies a block to the features of every task, `(batch, ..., num_tasks, units)`."""
    name = f"shared_block_{i}"
    if isinstance(block, int):  # Dense maps the last axis, so it serves all tasks at once
        return keras.layers.Dense(block, activation=activation, name=name)(stacked)
    num_tasks = stacked.shape[-2]
    branches = [PickBranch(k, name=f"{name}_column_{k}")(stacked) for k in range(num_tasks)]
    run = reusable_stage(block, branches[0], name, activation)
    return StackBranches(name=f"{name}_outputs")([run(branch) for branch in branches])
