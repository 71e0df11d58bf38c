"""Tasks that agree on which features to use (Obozinski et al., 2010)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import nodes_above, operations_after
from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    apply_part,
    check_features,
    end_towers,
    read_inputs,
)
from keras_mtl.layers import GroupSparsity

# Layers whose kernels have the features on the axis before the last.
_READERS = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


def sparse(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (),
    tower: Tower = (32,),
    strength: float = 1e-3,
    activation: Activation = "relu",
    name: str | None = "sparse",
) -> keras.Model:
    """Gives each task a tower, and makes all towers use the same few features.

    With W^i the weights with which the first layers of all tasks' towers read feature i, the
    loss gets the penalty

        strength * sum_i |W^i|

    This is the l2,1 norm: a feature pays once for all tasks. Choose it where few of many
    features matter, the same ones for related tasks, and where you want to know which: after
    training, `network.get_layer("shared_selection").pattern()` returns them as
    `(num_tasks, features)`. Choose another architecture where most features matter.

    The logs hold the penalty as `shared_selection_penalty`; it is part of `loss`.

    Guide:
        Kind: low rank and sparsity
        Shares: nothing, but tasks agree on which features to use
        Choose it when: few of many features matter, and you want to know which
        Not when: all features matter
        Source: Obozinski et al. 2010, doi:10.1007/s11222-008-9111-x

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)` in its order; or the output of a preprocessing model, whose
            own inputs the network then takes. Features of equal scale are chosen fairly.
        tasks: The tasks, at least one.
        shared: Units of a body in front of the selection, or a recipe, or a Keras model or
            layer: then learned features are selected. Defaults to `()`.
        tower: Units of each task's tower, or a recipe that makes new layers at each call. The
            tower, or else the task's head, begins with a dense or convolutional layer; only layers
            without weights may come before it. A dict gives each task a tower of its own (`None`
            stands for all others). Defaults to `(32,)`.
        strength: Weight of the penalty, not negative. Defaults to `1e-3`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, a task reads the features
            through another kind of layer, `strength` is negative, or a tower ends in a shape
            that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.sparse(keras.Input((8,)), tasks, strength=0.01)
        >>> network.get_layer("shared_selection").pattern().shape
        (2, 8)

    Reference:
        Obozinski, Taskar and Jordan, Joint Covariate Selection and Joint Subspace Selection for
        Multiple Classification Problems, Statistics and Computing 20, 2010,
        doi:10.1007/s11222-008-9111-x, for linear models. The gradient steps here bring an
        unused feature near zero, their solver brings it to zero: `pattern` takes a tolerance.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)
    check_features(features, "shared_selection")
    # The layer passes its input on; it finds the penalized kernels by the names set below.
    selection = GroupSparsity([()] * len(tasks), strength, name="shared_selection")
    selected = selection(features)

    outputs = end_towers(tower, {task.name: selected for task in tasks}, tasks, activation)
    readers = _readers(selection)
    selection.branches = [
        _readers_of_task(task, outputs[task.name], selected, readers) for task in tasks
    ]
    return keras.Model(inputs, outputs, name=name)


def _readers(selection: GroupSparsity) -> dict[str, Any]:
    """Returns by name the first layers with weights after the selection, on every path."""

    def has_weights(operation: Any) -> bool:
        return bool(getattr(operation, "weights", ()))

    # Each path ends at its first layer with weights: layers behind it read no features.
    operations = operations_after(selection, enter=lambda operation: not has_weights(operation))
    return {operation.name: operation for operation in operations if has_weights(operation)}


def _readers_of_task(
    task: Task, output: Tensor, features: Tensor, readers: dict[str, Any]
) -> list[str]:
    """Returns the names of those readers that lead to the output of one task.

    Raises:
        ValueError: If the weights of a reader cannot be grouped by feature.
    """
    visited: set[int] = set()
    for _ in nodes_above([features], visited):  # marks the nodes before the towers
        pass
    task_operations = {node.operation.name for node in nodes_above([output], visited)}
    names = [name for name in readers if name in task_operations]
    size = features.shape[-1]
    for name in names:
        layer = readers[name]
        if not isinstance(layer, _READERS) or layer.kernel.shape[-2] != size:
            raise ValueError(
                f"task {task.name!r}: its tower reads the {size} features through {name!r}, a "
                f"{type(layer).__name__}; begin it with a Dense or Conv layer, whose weights can "
                "be grouped by feature."
            )
    return names
