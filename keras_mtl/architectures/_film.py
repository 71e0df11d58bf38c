"""One body, modulated for each task by an embedding of it."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Body,
    Part,
    Stage,
    check_count,
    end_towers,
    read_inputs,
    read_stages,
    repeated_stage,
)
from keras_mtl.layers import FiLM, TaskEmbedding


def film(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    embedding_units: int = 16,
    tower: Part = (32,),
    activation: Any = "relu",
    name: str | None = "film",
) -> keras.Model:
    """Runs one body for every task, and scales and shifts its channels as the task asks.

    After stage l task k has `x_k,l = (1 + d) * F_l(x_k,l-1) + b` with `[d, b] = W_l e_k + w_l`
    and a learned embedding `e_k`; all tasks share `F` and `W`. Choose it for many tasks: one
    more costs an embedding and a tower in memory, and tasks that are alike can get embeddings
    that are alike (`network.get_layer("<task>_embedding").embeddings`). The body is run once a
    task, so that serving costs more than `hard_sharing`.

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages, each units, a recipe `features -> features`, or a Keras layer or model;
            modulated after each stage, and with units before the activation. Defaults to
            `(128, 64)`.
        embedding_units: Size of a task's embedding. Defaults to `16`.
        tower: Units of each task's tower, or a recipe that makes new layers at each call.
            Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `body` is empty,
            `embedding_units` is less than 1, or a tower ends in a shape that does not fit its
            task.
        TypeError: If an argument is of another kind.

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
    columns = dict.fromkeys(embeddings, features)
    for i, stage in enumerate(read_stages(body)):
        columns = _stage(stage, columns, embeddings, activation, i)

    outputs = end_towers(tower, columns, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _stage(
    stage: Stage, columns: dict[str, Tensor], embeddings: dict[str, Tensor], activation: Any, i: int
) -> dict[str, Tensor]:
    """Puts each task's features through one stage, and modulates what comes out."""
    first = next(iter(columns.values()))
    apply = repeated_stage(stage, first, f"shared_body_{i}", None)
    modulate = FiLM(name=f"shared_film_{i}")
    activate = keras.layers.Activation(activation, name=f"shared_activation_{i}")
    made: dict[int, Tensor] = {}  # the first stage reads the same for all tasks
    outputs = {}
    for task, features in columns.items():
        if id(features) not in made:
            made[id(features)] = apply(features)
        modulated = modulate([made[id(features)], embeddings[task]])
        outputs[task] = activate(modulated) if isinstance(stage, int) else modulated
    return outputs
