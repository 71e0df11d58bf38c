"""Multi-gate mixture of experts (Ma et al., 2018)."""

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
    mix_experts,
    read_inputs,
)


def mmoe(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    num_experts: int = 8,
    expert: Part = (128,),
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "mmoe",
) -> keras.Model:
    """Shares experts between tasks, and lets a gate of each task choose among them.

    With the features x, the experts f_i, and for each task k a gate of weights W_k and a tower
    h_k that ends in the task's head:

        g_k = softmax(W_k x)
        z_k = sum_i g_ki f_i(x)
        y_k = h_k(z_k)

    Choose it where `hard_sharing` makes some task worse: a gate can reserve experts for its
    task. Where tasks agree it costs more and gains nothing. The weights g_k of a gate are the
    output of the layer `<task>_gate`.

    Guide:
        Kind: experts
        Shares: experts, mixed by a gate for each task
        Choose it when: tasks conflict in a shared body
        Not when: there are few experts, and a gate collapses onto one of them
        Source: Ma et al. 2018, doi:10.1145/3219819.3220007

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        num_experts: Number of experts. Defaults to `8`.
        expert: Units of each expert (all are then computed together), or a recipe
            `features -> features` that makes new layers at each call. Defaults to `(128,)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `num_experts` or `expert` is
            empty, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.mmoe(keras.Input((8,)), tasks, num_experts=4)
        >>> network.get_layer("income_gate").output.shape
        (None, 4)
        >>> def expert(features):
        ...     features = keras.layers.Dense(16, activation="relu")(features)
        ...     return keras.layers.Dropout(0.1)(features)
        >>> network = mtl.architectures.mmoe(keras.Input((8,)), tasks, expert=expert)

    Reference:
        Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate
        Mixture-of-Experts, KDD 2018, doi:10.1145/3219819.3220007. Beyond the paper: features
        with more axes (sequences, images) are gated at each position, or by their mean over
        positions where the experts change those axes. Gates run in float32 in any policy.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    check_count(num_experts, "num_experts")
    experts = make_experts({"shared": (features, num_experts)}, expert, activation)["shared"]

    gated = gate_features(features, experts)
    mixtures = {task.name: mix_experts(gated, experts, task.name) for task in tasks}

    outputs = end_towers(tower, mixtures, tasks, activation)
    return keras.Model(inputs, outputs, name=name)
