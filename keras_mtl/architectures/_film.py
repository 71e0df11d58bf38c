"""One body, modulated for each task by an embedding of the task (Perez et al., 2018)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Body,
    Stage,
    Tower,
    check_count,
    end_towers,
    read_inputs,
    read_stages,
    reusable_stage,
)
from keras_mtl.layers import FiLM, TaskEmbedding


def film(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    embedding_units: int = 16,
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "film",
) -> keras.Model:
    """Runs one body for every task, with its channels scaled and shifted differently for each.

    After stage l the features of task k are

        [d, b] = W_l e_k + w_l
        x_k,l = (1 + d) * F_l(x_k,l-1) + b

    where `e_k` is a learned embedding of the task, and `d` and `b` hold a scale and a shift for
    each channel. All tasks share the stages `F_l` and the maps `W_l`, `w_l`.

    Choose it for many tasks: one more costs an embedding and a tower in memory, and similar
    tasks can get similar embeddings (`network.get_layer("<task>_embedding").embeddings`). The
    body runs once per task, so serving costs more than with `hard_sharing`.

    Guide:
        Kind: attention and conditioning
        Shares: one body, conditioned on the task by a scale and a shift of its channels
        Choose it when: there are many tasks and few weights to spare
        Not when: all tasks are predicted at once, since the body runs once per task
        Source: Perez et al. 2018, arXiv:1709.07871

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages. Each is given as units, a recipe `features -> features`, or a Keras layer
            or model. Features are modulated after each stage; in a stage given as units that is
            before the activation. Defaults to `(128, 64)`.
        embedding_units: Size of a task's embedding. Defaults to `16`.
        tower: Units of each task's tower, or a recipe that makes new layers at each call. A dict
            gives each task a tower of its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `body` is empty,
            `embedding_units` is less than 1, or a tower ends in a shape that does not fit its
            task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.film(keras.Input((8,)), tasks, body=(16, 16))
        >>> network.get_layer("income_embedding").embeddings.shape
        TensorShape([1, 16])

    Reference:
        Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, AAAI 2018,
        arXiv:1709.07871. There the condition is a question about an image; here it is the task.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    check_count(embedding_units, "embedding_units")
    embeddings = {
        task.name: TaskEmbedding(embedding_units, name=f"{task.name}_embedding")(features)
        for task in tasks
    }
    task_features = dict.fromkeys(embeddings, features)
    for i, stage in enumerate(read_stages(body)):
        task_features = _modulated_stage(stage, task_features, embeddings, activation, i)

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _modulated_stage(
    stage: Stage,
    task_features: dict[str, Tensor],
    embeddings: dict[str, Tensor],
    activation: Activation,
    i: int,
) -> dict[str, Tensor]:
    """Applies stage `i` to each task's features, and modulates its output for the task."""
    first = next(iter(task_features.values()))
    apply = reusable_stage(stage, first, f"shared_body_{i}", None)
    modulate = FiLM(name=f"shared_film_{i}")
    activate = keras.layers.Activation(activation, name=f"shared_activation_{i}")
    stage_outputs: dict[int, Tensor] = {}  # the first stage reads one tensor for all tasks
    outputs = {}
    for task, features in task_features.items():
        if id(features) not in stage_outputs:
            stage_outputs[id(features)] = apply(features)
        modulated = modulate([stage_outputs[id(features)], embeddings[task]])
        outputs[task] = activate(modulated) if isinstance(stage, int) else modulated
    return outputs
