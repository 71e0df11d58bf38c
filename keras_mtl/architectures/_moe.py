"""A mixture of experts with one gate for all tasks."""

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


def moe(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    num_experts: int = 8,
    expert: Part = (128,),
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "moe",
) -> keras.Model:
    """Shares experts between tasks, and one gate that chooses among them for all tasks alike.

    With the features x, the experts f_i, the gate's weights W, and for each task k a tower h_k
    that ends in the task's head:

        g = softmax(W x)
        z = sum_i g_i f_i(x)
        y_k = h_k(z)

    Choose it where the examples, rather than the tasks, are of different kinds: it is
    `hard_sharing` with a body that depends on the example. Choose `mmoe` where tasks disagree.
    The weights g of the gate are the output of the layer `shared_gate`.

    Guide:
        Kind: experts
        Shares: experts, mixed by one gate for all tasks
        Choose it when: tasks agree on which experts to use
        Not when: tasks conflict; take `mmoe` instead
        Source: Ma et al. 2018, doi:10.1145/3219819.3220007

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        num_experts: Number of experts. Defaults to `8`.
        expert: Units of each expert (all of a group are then computed together), or a recipe
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
        >>> network = mtl.architectures.moe(keras.Input((8,)), tasks, num_experts=4)
        >>> network.get_layer("shared_gate").output.shape
        (None, 4)

    Reference:
        This is the one-gate mixture of experts (OMoE) with which Ma et al., KDD 2018,
        doi:10.1145/3219819.3220007, compare `mmoe`. Features with more axes are gated as in
        `mmoe`.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    check_count(num_experts, "num_experts")
    experts = make_experts({"shared": (features, num_experts)}, expert, activation)["shared"]

    mixture = mix_experts(gate_features(features, experts), experts, "shared")

    outputs = end_towers(tower, {task.name: mixture for task in tasks}, tasks, activation)
    return keras.Model(inputs, outputs, name=name)
