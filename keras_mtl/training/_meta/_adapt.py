"""One adaptation of a network, to labels that are few."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._numbers import read_number, read_whole
from keras_mtl.training._meta._inner_loop import InnerLoop
from keras_mtl.training._meta._inner_variables import inner_variables


def adapt(
    network: keras.Model,
    tasks: Sequence[Task],
    rows: Any,
    *,
    steps: int = 10,
    learning_rate: float = 0.01,
    layers: str | None = None,
) -> keras.Model:
    """Returns a copy of a network that some gradient steps have adapted to a few labeled rows.

    Choose it for a network that joint training made, or that comes from `MetaModel` (whose `adapt`
    knows the rates and layers of its training). All rows count in every step, and nothing of the
    optimizer is left over. With more than some hundred rows, `fit` a copy instead.

    Batch normalization takes the statistics of these rows, and keeps them in the copy.

    Args:
        network: A functional network with one named output per task; it does not change.
        tasks: Its tasks.
        rows: `(x, y)` or `(x, y, w)`, the labeled rows: inputs, labels by task, and sample weights
            by task, which are 0 where there is no label.
        steps: The number of steps. Defaults to `10`.
        learning_rate: The rate of all of them. Defaults to `0.01`.
        layers: Patterns of the names of the layers that change, or `"heads"`: the last layer of
            each task. Defaults to `None`: all.

    Returns:
        A network that is saved and exported as any other.

    Raises:
        ValueError: If an argument does not fit, a task has no labels or has NaN among them, or a
            pattern matches no layer that is trained.

    Example:
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> x, y = np.ones((5, 4), "float32"), {"click": np.ones(5), "price": np.zeros(5)}
        >>> adapted = adapt(network, tasks, (x, y), steps=3, layers="heads")
    """
    tasks = check_tasks(tasks)
    steps = read_whole(steps, "steps is")
    labels = keras.utils.unpack_x_y_sample_weight(rows)[1]
    if missing := [task.name for task in tasks if task.name not in labels]:
        raise ValueError(f"rows have no labels of {missing}; they are (x, y) with y by task.")
    for name, values in labels.items():
        array = np.asarray(values)
        if not len(array):
            raise ValueError(f"task {name!r} has no row to adapt to; pass one row or more.")
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ValueError(
                f"the labels of task {name!r} hold NaN; give missing labels another value and the "
                "sample weight 0, as data.mask_missing does."
            )
    rate = read_number(learning_rate, "learning_rate is", low=0, above=True)
    inner = InnerLoop(network, tasks, inner_variables(network, tasks, layers), False)
    return adapted_network(network, inner, rows, [rate] * len(inner.variables), steps)


def adapted_network(
    network: keras.Model, inner: InnerLoop, rows: Any, rates: Sequence[Any], steps: int
) -> keras.Model:
    """Returns a copy of a network, adapted to some rows.

    Args:
        network: The network.
        inner: Its inner loop.
        rows: Inputs, labels and sample weights.
        rates: The learning rate of each variable that changes.
        steps: The number of steps.
    """
    x, y, w = keras.utils.unpack_x_y_sample_weight(rows)
    support = keras.tree.map_structure(tf.convert_to_tensor, (x, y))
    weights = {name: tf.convert_to_tensor(value) for name, value in (w or {}).items()}
    start = [tf.convert_to_tensor(variable) for variable in inner.variables]
    _, state = inner.adapt(start, rates, (*support, weights), steps, tf.constant(0))
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    # Variables of a copy stand in the same order; its paths may differ.
    twins = dict(zip(map(id, network.variables), copy.variables, strict=True))
    for variable, value in state:
        twins[id(variable)].assign(value)
    return copy
