"""Networks whose weights form tensors of low rank over tasks (Yang and Hospedales, 2017)."""

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
    check_features,
    end_towers,
    read_inputs,
    read_stages,
    repeated_stage,
)
from keras_mtl.layers import FactorizedDense, TaskEmbedding


def tensor_factorized(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    form: str = "tucker",
    rank: int = 16,
    task_rank: int = 2,
    tower: Part = (),
    activation: Any = "relu",
    name: str | None = "tensor_factorized",
) -> keras.Model:
    """Gives each task a body of its own, in a tensor of low rank over all tasks.

    The kernels of a layer of all T tasks, `W (in, units, T)`, are factorized: training finds at
    each layer how much tasks share. Choose it for many tasks (or domains) of which some are
    alike, and which layers they should share is not known. With `task_rank` 1 kernels differ by
    a number only; with as many as there are tasks, `"laf"` ties nothing. The body runs once a
    task.

    The forms are `"laf"`, mixtures of `task_rank` whole kernels; `"tucker"`, whose mixtures are
    of small cores between factors `(in, rank)` and `(units, rank)`; `"tt"`, with a factor `(in,
    rank)` only. `network.get_layer("<task>_factor_0").embeddings` is a task's row of the factor
    on the axis of tasks: tasks with like rows share much.

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages, of which units are factorized dense layers. A recipe `features ->
            features` or a Keras layer or model is a stage that all tasks share, such as a
            convolution. Defaults to `(128, 64)`.
        form: `"laf"`, `"tucker"` or `"tt"`. Defaults to `"tucker"`.
        rank: Of the axes of a layer; `"laf"` has none. Defaults to `16`.
        task_rank: Of the axis of tasks. Defaults to `2`.
        tower: Units of each task's tower, which is not factorized, or a recipe that makes new
            layers at each call. Defaults to `()`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, no stage is units, the form
            is unknown, a rank is less than 1, or a tower ends in a shape that does not fit its
            task.
        TypeError: If an argument is of another kind.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary(name) for name in ("english", "german", "chinese")]
        >>> network = mtl.architectures.tensor_factorized(
        ...     keras.Input((8,)), tasks, body=(16,), form="tt", rank=4
        ... )
        >>> [tuple(f.shape) for f in network.get_layer("shared_factorized_0").factors]
        [(9, 4), (4, 16, 2)]

    Reference:
        Yang and Hospedales, Deep Multi-task Representation Learning: A Tensor Factorisation
        Approach, ICLR 2017, arXiv:1605.06391. There ranks come from, and training starts at, a
        factorization of separately trained networks; here ranks are given and the start is
        random. Convolutions, which they factorize as well, are stages that all tasks share.
    """
    tasks = check_tasks(tasks)
    for count, what in ((rank, "rank"), (task_rank, "task_rank")):
        check_count(count, what)
    stages = read_stages(body)
    if not any(isinstance(stage, int) for stage in stages):
        raise ValueError(
            f"body: no stage of {stages} is units, so that nothing is factorized and all is "
            "shared; choose hard_sharing, or add units, such as (..., 64)."
        )
    inputs, features = read_inputs(inputs, tasks)

    columns = {task.name: features for task in tasks}
    for i, stage in enumerate(stages):
        if isinstance(stage, int):
            layer = FactorizedDense(stage, form, rank, activation, name=f"shared_factorized_{i}")
            columns = _factorized(layer, columns, task_rank, i)
        else:
            columns = _shared(stage, columns, i)

    outputs = end_towers(tower, columns, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _factorized(
    layer: FactorizedDense, columns: dict[str, Tensor], task_rank: int, i: int
) -> dict[str, Tensor]:
    """Puts each task's features through its own layer of a tensor of layers."""
    outputs = {}
    for task, features in columns.items():
        check_features(features, layer.name)
        draw = keras.initializers.RandomNormal(stddev=task_rank**-0.5)
        factor = TaskEmbedding(task_rank, draw, name=f"{task}_factor_{i}")
        outputs[task] = layer([features, factor(features)])
    return outputs


def _shared(stage: Stage, columns: dict[str, Tensor], i: int) -> dict[str, Tensor]:
    """Puts each task's features through one stage, once where they are the same."""
    made: dict[int, Tensor] = {}
    for features in columns.values():
        if not made:
            apply = repeated_stage(stage, features, f"shared_body_{i}", None)
        if id(features) not in made:
            made[id(features)] = apply(features)
    return {task: made[id(features)] for task, features in columns.items()}
