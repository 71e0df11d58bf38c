"""Networks whose weights form tensors of low rank over tasks (Yang and Hospedales, 2017)."""

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
    check_features,
    end_towers,
    read_inputs,
    read_stages,
    reusable_stage,
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
    tower: Tower = (),
    activation: Activation = "relu",
    name: str | None = "tensor_factorized",
) -> keras.Model:
    """Gives each task its own body, whose kernels are slices of tensors of low rank over tasks.

    The kernels of a layer of all T tasks form a tensor `W (in, units, T)`, which is factorized:
    training finds at each layer how much tasks share. In each form, task t mixes `task_rank`
    components by its row u_t of the factor on the axis of tasks:

        "laf":     W_t = sum_c u_tc L_c                whole kernels L_c (in, units)
        "tucker":  W_t = U (sum_c u_tc S_c) V^T        small cores S_c (rank, rank)
        "tt":      W_t = U (sum_c u_tc V_c)            with V_c (rank, units)

    with factors `U (in, rank)` and `V (units, rank)`. The row u_t of the layer i is
    `network.get_layer("<task>_factor_<i>").embeddings`: tasks with similar rows share much.

    Choose it for many tasks (or domains) of which some are alike, where it is unknown which
    layers they should share. With `task_rank` 1 kernels differ only by a factor; with as many
    as there are tasks, `"laf"` ties nothing. The body runs once per task.

    Guide:
        Kind: low rank and sparsity
        Shares: kernels, as slices of tensors of low rank over the tasks
        Choose it when: it is unknown how much to share at which layer
        Not when: there are two tasks, and so nothing to factorize
        Source: Yang and Hospedales 2017, arXiv:1605.06391

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages, of which units are factorized dense layers. A recipe `features ->
            features` or a Keras layer or model is a stage that all tasks share, such as a
            convolution. Defaults to `(128, 64)`.
        form: `"laf"`, `"tucker"` or `"tt"`. Defaults to `"tucker"`.
        rank: Rank on the axes of a layer; `"laf"` does not use it. Defaults to `16`.
        task_rank: Rank on the axis of tasks. Defaults to `2`.
        tower: Units of each task's tower, which is not factorized, or a recipe that makes new
            layers at each call. A dict gives each task a tower of its own (`None` stands for all
            others). Defaults to `()`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, no stage is units, the form
            is unknown, a rank is less than 1, or a tower ends in a shape that does not fit its
            task.
        TypeError: If an argument is of another type.

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
        factorization of separately trained networks; here ranks are arguments and the start is
        random. Convolutions, which they factorize as well, are stages that all tasks share.
    """
    tasks = check_tasks(tasks)
    check_count(rank, "rank")
    check_count(task_rank, "task_rank")
    stages = read_stages(body)
    if not any(isinstance(stage, int) for stage in stages):
        raise ValueError(
            f"body: no stage of {stages} is units, so that nothing is factorized and all is "
            "shared; choose hard_sharing, or add units, such as (..., 64)."
        )
    inputs, features = read_inputs(inputs, tasks)

    task_features = {task.name: features for task in tasks}
    for i, stage in enumerate(stages):
        if isinstance(stage, int):
            layer = FactorizedDense(stage, form, rank, activation, name=f"shared_factorized_{i}")
            task_features = _apply_factorized(layer, task_features, task_rank, i)
        else:
            task_features = _apply_shared(stage, task_features, i)

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _apply_factorized(
    layer: FactorizedDense, task_features: dict[str, Tensor], task_rank: int, i: int
) -> dict[str, Tensor]:
    """Maps each task's features through the layer with the kernel of that task."""
    outputs = {}
    for task, features in task_features.items():
        check_features(features, layer.name)
        # With this variance the kernels start with the variance of `glorot_uniform`.
        initializer = keras.initializers.RandomNormal(stddev=task_rank**-0.5)
        factor = TaskEmbedding(task_rank, initializer, name=f"{task}_factor_{i}")
        outputs[task] = layer([features, factor(features)])
    return outputs


def _apply_shared(stage: Stage, task_features: dict[str, Tensor], i: int) -> dict[str, Tensor]:
    """Maps each task's features through one stage, and equal features only once."""
    outputs: dict[int, Tensor] = {}  # by the identity of the features
    for features in task_features.values():
        if not outputs:
            apply = reusable_stage(stage, features, f"shared_body_{i}", None)
        if id(features) not in outputs:
            outputs[id(features)] = apply(features)
    return {task: outputs[id(features)] for task, features in task_features.items()}
