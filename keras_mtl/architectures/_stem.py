"""Shared and task-specific embeddings (Su et al., 2024)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation
from keras_mtl.architectures._building import (
    Part,
    Tower,
    apply_part,
    check_separate_variables,
    end_towers,
    gate_features,
    is_units,
    join_experts,
    make_experts,
    mix_experts,
    read_inputs,
)
from keras_mtl.layers import StopGradient


def stem(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    embedding: Part = (64,),
    num_experts: int = 1,
    expert: Part = (128,),
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "stem",
) -> keras.Model:
    """Embeds the inputs once for all tasks and once for each, and gates who learns from whom.

    With the shared embedding e_S and the embeddings e_1, ..., e_K of the tasks, the experts f_j
    that read any of them, and for each task k a gate g_k (a softmax) and a tower h_k:

        z_k = sum_j g_k(e_k + e_S)_j f_j    over the experts of all tasks and the shared ones
        y_k = h_k(z_k)

    Task k reads the experts of all (all forward), but of the embeddings and experts its loss
    trains only those of the task and the shared ones (task-specific backward).

    Choose it where the users who do one thing as often as another are predicted worse together
    than apart: no gate above a single embedding table can correct that. It costs K + 1 tables.

    Guide:
        Kind: experts
        Shares: one embedding for all tasks, beside one for each task
        Choose it when: embedding tables are large, and tasks disagree about ids
        Not when: tables hardly fit into memory, since each task has its own
        Source: Su et al. 2024, arXiv:2308.13537

    Args:
        inputs: A `keras.Input`; a dict of inputs; or the output of a preprocessing model, whose
            own inputs the network then takes. A recipe as `embedding` may read identifiers, and
            receives a dict as it is; units read floats, and a dict is joined to `(batch, in)`.
        tasks: The tasks, at least one.
        embedding: A recipe `inputs -> features` that makes new embedding tables at each call,
            `(batch, ..., in)`, or units of a linear map. Defaults to `(64,)`.
        num_experts: Number of experts that read each embedding. Defaults to `1`.
        expert: Units of each expert, or a recipe `features -> features` that makes new layers
            at each call. Defaults to `(128,)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units, except for the embedding. Defaults
            to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `num_experts` or `expert` is
            empty, two embeddings share a layer, or a tower ends in a shape that does not fit.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> def embed(ids):
        ...     user = keras.layers.Embedding(1000, 8)(ids["user"])
        ...     item = keras.layers.Embedding(500, 8)(ids["item"])
        ...     return keras.layers.Concatenate()([user, item])
        >>> ids = {key: keras.Input((), name=key, dtype="int32") for key in ("user", "item")}
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("like")]
        >>> network = mtl.architectures.stem(ids, tasks, embedding=embed)
        >>> network.get_layer("like_gate").output.shape  # click, like, shared
        (None, 3)

    Reference:
        Su et al., STEM: Unleashing the Power of Embeddings for Multi-task Recommendation, AAAI
        2024, arXiv:2308.13537: STEM-Net of one level, the authors' default. Their gates are
        perceptrons; the gates here are linear, as in `mmoe`. A gate of the shared branch, which
        the authors' code has and which one level does not use, is left out.
    """
    tasks = check_tasks(tasks)
    inputs, embedded = read_inputs(inputs, tasks, join=is_units(embedding))

    owners = [*(task.name for task in tasks), "shared"]
    embeddings = {
        owner: apply_part(embedding, embedded, f"{owner}_embedding", "linear") for owner in owners
    }
    check_separate_variables(embeddings)

    experts = make_experts(
        {owner: (embeddings[owner], num_experts) for owner in owners}, expert, activation
    )
    # The experts of the tasks as other tasks read them: without a gradient.
    stopped = {
        owner: StopGradient(name=f"{owner}_stopped")(experts[owner])
        for owner in owners[:-1]
        if len(tasks) > 1
    }

    mixtures = {}
    for task in tasks:
        groups = {**stopped, task.name: experts[task.name], "shared": experts["shared"]}
        gated = keras.layers.Add(name=f"{task.name}_gated")(
            [embeddings[task.name], embeddings["shared"]]
        )
        all_experts = join_experts(*groups.values())
        gated = gate_features(gated, all_experts, f"{task.name}_gate_features")
        mixtures[task.name] = mix_experts(gated, all_experts, task.name)

    outputs = end_towers(tower, mixtures, tasks, activation)
    return keras.Model(inputs, outputs, name=name)
