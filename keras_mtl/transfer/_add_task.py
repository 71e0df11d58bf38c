"""One more task for a network that is trained."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import is_symbolic, ordered_nodes
from keras_mtl._tasks import Head, Task
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import Tower, end_towers
from keras_mtl.training._frontier import find_frontier, named_outputs
from keras_mtl.transfer._networks import match_layers, read_network, read_patterns


def add_task(
    network: keras.Model,
    task: Task,
    at: str | Tensor | None = None,
    *,
    tower: Tower = (),
    activation: Activation = "relu",
    freeze: str | Sequence[str] | None = None,
) -> keras.Model:
    """Adds a task to a network: a new tower and head on features that it computes already.

    The result shares the layers of `network`: to train one is to train the other, and the
    predictions of the old tasks are those of `network` until then. Choose it where a new task
    comes to tasks that are trained. Where the new task has inputs of its own, or reads other
    features than one layer computes, build a new network and call `load_trunk`.

    There are three ways to train the new head (`benchmarks/regimes_transfer.py` measures them on
    digits, upright and then turned):

    - alone, with `freeze="*"`: nothing is forgotten, and the new task learns less than it could
      (accuracy .962 of the old and .892 of the new task);
    - with everything, on rows of the new task: it learns most, and the old tasks are forgotten
      (.729 and .942). Smaller steps below the heads (`discriminative`) keep more of them (.840 and
      .938), and a penalty nearly all (`remember`, .958 and .930);
    - with everything, on rows of all tasks: both are learned (.967 and .940), and the old rows are
      needed.

    A balancer has state for each of its tasks (averages of losses, weights, moments), and that of
    K - 1 tasks does not fit K. Make a new balancer for the new network; one that has been in use is
    refused by its first step.

    Args:
        network: A functional network whose outputs are a dict by task, or named by their layers;
            or the `BalancedModel` that trains it. It stays as it is, but for frozen layers.
        task: The new task.
        at: Where the new tower begins: the name of a layer of the network with one output that is
            called once, or a tensor of its graph. Defaults to `None`: the one tensor that the
            towers of all tasks read.
        tower: Units of the tower's dense layers, or a recipe `features -> features`. Defaults to
            `()`: the head alone.
        activation: Activation of dense layers made from units. Defaults to `"relu"`.
        freeze: Patterns of names of layers of `network` that shall not be trained any more, such
            as `"shared_*"`; `"*"` are all of them. In both networks, since they share layers, and
            before `compile`. Frozen layers of batch normalization use their moving averages and
            leave them as they are; dropout stays active. Defaults to `None`: nothing is frozen.

    Returns:
        A functional `keras.Model` with the inputs of `network`, and as outputs a dict by task: the
        old ones in their order, then the new one. It is not compiled.

    Raises:
        TypeError: If the network does not show its graph, or `task` is no `Task`.
        ValueError: If the network has an output or a layer of the task's name, `at` names no
            tensor or several, the towers read several tensors and `at` is missing, the features do
            not fit the head, or `freeze` matches no layer.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> tasks.append(mtl.Task.binary("buy"))
        >>> larger = add_task(network, tasks[-1], at="shared_body_0", freeze="*")
        >>> sorted(larger.output), [v.path for v in larger.trainable_variables]
        (['buy', 'click', 'price'], ['buy_logits/kernel', 'buy_logits/bias'])
        >>> model = mtl.BalancedModel(larger, tasks, mtl.balancers.Equal())
    """
    network = read_network(network)
    if not isinstance(task, Task):
        raise TypeError(f"task must be a keras_mtl.Task; received {task!r}.")
    outputs = named_outputs(network)
    taken = {operation.name for operation in network.operations}
    if task.name in outputs or task.name in taken:
        what = "an output" if task.name in outputs else "a layer"
        raise ValueError(
            f"task {task.name!r}: the network has {what} of that name already; its outputs are "
            f"{list(outputs)}. Name the new task differently."
        )
    patterns = None if freeze is None else read_patterns(freeze, "freeze")
    frozen = {} if patterns is None else match_layers(network, patterns, "freeze")
    features = _features(network, outputs, at)
    new = end_towers(tower, {task.name: features}, [task], activation)
    _check_names(new[task.name], network, task)
    for layer in frozen.values():
        layer.trainable = False
    return keras.Model(network.input, {**outputs, **new}, name=network.name)


def _features(network: keras.Model, outputs: dict[str, Tensor], at: Any) -> Tensor:
    """Returns the tensor on which the new tower begins."""
    if at is None:
        return _shared_features(network, outputs)
    nodes = ordered_nodes(outputs.values())
    if is_symbolic(at):
        if not any(at is tensor for node in nodes for tensor in node.output_tensors):
            raise ValueError(
                f"at: the tensor {at.name!r} of shape {at.shape} is not computed in the network "
                f"{network.name!r}. Take it from there: network.get_layer(name).output."
            )
        return at
    calls = [node for node in nodes if node.operation.name == at]
    tensors = [tensor for node in calls for tensor in node.output_tensors]
    if len(tensors) == 1:
        return tensors[0]
    if not calls:
        names = dict.fromkeys(node.operation.name for node in nodes)
        hint = " (a layer inside of another model shows no tensor: name the outer one)"
        raise ValueError(
            f"at={at!r} names no layer of the network {network.name!r}; it has {list(names)}"
            + (hint if isinstance(at, str) and "/" in at else "")
            + "."
        )
    raise ValueError(
        f"at={at!r}: the layer is called {len(calls)} times and makes {len(tensors)} tensors. "
        "Pass one of them, a keras.KerasTensor of the network, in place of the name."
    )


def _shared_features(network: keras.Model, outputs: dict[str, Tensor]) -> Tensor:
    """Returns the one tensor that the towers of all tasks read.

    Raises:
        ValueError: If there is no such tensor.
    """
    if len(outputs) == 1:
        raise ValueError(
            f"the network has one task, {list(outputs)}, so that nothing shows where its tower "
            "begins. Name the layer on which the new task shall stand: at='...'; the layers are "
            f"{[layer.name for layer in network.layers]}."
        )
    stand_ins = [Task(name, head=Head(1), loss="mse") for name in outputs]
    tensors = find_frontier(network, stand_ins).trunk.outputs
    if len(tensors) > 1:
        raise ValueError(
            f"the towers of the tasks {list(outputs)} read {len(tensors)} different tensors "
            f"({[tensor.name for tensor in tensors]}), so that it is not clear which of them the "
            "new task shall read. Name a layer: at='...'."
        )
    features: Tensor = tensors[0]
    return features


def _check_names(output: Tensor, network: keras.Model, task: Task) -> None:
    """Checks that no new layer has the name of another one.

    Automatic names count the layers of a process: a network that was loaded may have them, too.
    """
    old = {id(operation): operation.name for operation in network.operations}
    names = set(old.values())
    doubles = {
        node.operation.name
        for node in ordered_nodes([output])
        if id(node.operation) not in old and node.operation.name in names
    }
    if doubles:
        raise ValueError(
            f"task {task.name!r}: the network has layers named {sorted(doubles)} already. Name the "
            "layers of the task's head and tower: keras.layers.Dense(8, name='...')."
        )
