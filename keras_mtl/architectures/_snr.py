"""Sub-network routing (Ma et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    check_count,
    check_units,
    end_towers,
    is_units,
    make_experts,
    read_inputs,
)
from keras_mtl.layers import ParallelDense, PickBranch, SubNetworkRouting


def snr(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    num_levels: int = 2,
    num_subnetworks: int = 4,
    subnetwork: Part = (64,),
    routing: str = "transform",
    l0: float = 1e-4,
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "snr",
) -> keras.Model:
    """Stacks levels of sub-networks, and learns which of them are connected.

    Sub-network i of a level reads v_i, made from the outputs u_j of the level below with a
    coding variable z_ij for each connection, and with matrices W_ij in the first variant:

        v_i = sum_j z_ij W_ij u_j    routing="transform" (SNR-Trans)
        v_i = sum_j z_ij u_j         routing="average" (SNR-Aver)

    With `"transform"` the output of the level is `activation(v_i + b_i)`, with a bias b_i; with
    `"average"` it is that of a sub-network that reads v_i. The tasks at the top read the last
    level in the same way. The coding variables are drawn in training and fixed when serving,
    where some of them are 0: `network.get_layer("shared_routing_<level>").codings`.

    Choose it to search for a pattern of sharing that serves fast; a larger `l0` closes more
    connections. Unlike `mmoe`, it does not adapt to the example.

    Guide:
        Kind: experts
        Shares: sub-networks, routed by learned switches
        Choose it when: sharing should be sparse and learned
        Not when: runs must vary little, since switches are drawn at random
        Source: Ma et al. 2019, doi:10.1609/aaai.v33i01.3301216

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        num_levels: Number of levels of sub-networks. Defaults to `2`.
        num_subnetworks: Number of sub-networks at each level. Defaults to `4`.
        subnetwork: Units of each sub-network, or a recipe `features -> features` that makes new
            layers at each call. Above the first level, `"transform"` uses the last size alone.
            Defaults to `(64,)`.
        routing: `"transform"` or `"average"`. Defaults to `"transform"`.
        l0: Weight of the expected number of open connections in the loss. Defaults to `1e-4`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, a number is out of its
            range, `subnetwork` is empty, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.snr(keras.Input((8,)), tasks, num_subnetworks=3)
        >>> network.get_layer("shared_routing_2").codings.shape  # tasks, sub-networks
        (2, 3)

    Reference:
        Ma et al., SNR: Sub-Network Routing for Flexible Parameter Sharing in Multi-Task
        Learning, AAAI 2019, doi:10.1609/aaai.v33i01.3301216.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    if routing not in ("transform", "average"):
        raise ValueError(f'routing must be "transform" or "average"; received {routing!r}.')
    check_count(num_subnetworks, "num_subnetworks")
    # (batch, ..., num_subnetworks, units) at each level
    x = make_experts({"shared": (features, num_subnetworks)}, subnetwork, activation, "_0")[
        "shared"
    ]
    units = x.shape[-1] if routing == "transform" else None
    for level in range(1, check_count(num_levels, "num_levels")):
        x = SubNetworkRouting(num_subnetworks, units, l0, name=f"shared_routing_{level}")(x)
        x = _level(x, subnetwork, activation, level, routing)

    x = SubNetworkRouting(len(tasks), units, l0, name=f"shared_routing_{num_levels}")(x)
    if routing == "transform":
        x = keras.layers.Activation(activation, name=f"shared_activation_{num_levels}")(x)
    routes = {
        task.name: PickBranch(k, name=f"{task.name}_route")(x) for k, task in enumerate(tasks)
    }

    outputs = end_towers(tower, routes, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _level(
    routed: Tensor, subnetwork: Part, activation: Activation, level: int, routing: str
) -> Tensor:
    """Applies the sub-networks of a level above the first to the features routed to each."""
    if routing == "transform":
        return keras.layers.Activation(activation, name=f"shared_activation_{level}")(routed)
    if is_units(subnetwork):
        for i, size in enumerate(check_units(subnetwork, "subnetwork")):
            layer = ParallelDense(size, activation, name=f"shared_subnetworks_{level}_{i}")
            routed = layer(routed)
        return routed
    groups = {
        f"shared_{i}": (PickBranch(i, name=f"shared_{i}_route_{level}")(routed), 1)
        for i in range(routed.shape[-2])
    }
    outputs = make_experts(groups, subnetwork, activation, f"_{level}")
    return keras.ops.concatenate(list(outputs.values()), axis=-2)
