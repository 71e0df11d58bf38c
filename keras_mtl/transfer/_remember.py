"""What a network has learned, as a penalty on leaving it."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.training._checks import check_outputs
from keras_mtl.transfer._fisher import fisher_information
from keras_mtl.transfer._keep_near import KeepNear
from keras_mtl.transfer._networks import match_layers, read_network, read_patterns
from keras_mtl.transfer._variable_names import variables_by_name

_STRENGTHS = {"ewc": 100.0, "l2_sp": 0.1}


def remember(
    network: keras.Model,
    dataset: tf.data.Dataset | None,
    tasks: Sequence[Task],
    rule: str = "ewc",
    *,
    strength: float | None = None,
    layers: str | Sequence[str] = "*",
    seed: int = 0,
) -> KeepNear:
    """Makes a penalty that keeps a network near what it has learned.

    Call it after the old tasks were trained, then `add_task`, and pass the penalty to
    `BalancedModel(penalties=[...])` for training on rows of the new task alone:

        "ewc"    strength / 2 sum_i F_i (t_i - t_i*)^2, where F_i is the Fisher information: how
                 much the predictions of the old tasks depend on entry i of the variables
        "l2_sp"  strength / 2 sum_i (t_i - t_i*)^2, which needs no data

    F is the sum over the tasks, times `Task.weight`, of the mean over rows of the expected squared
    gradient of log p(y | x), where y follows the predictions of the network itself. Up to 32
    outcomes per row and task the expectation is exact; beyond it one draw per row stands for it. A
    number has a normal distribution around its prediction, with the variance of the errors on
    `dataset`.

    Choose it where old rows are not at hand in the second training. With old rows, training on some
    of them with all tasks (rehearsal) is the alternative. Not where the new task is another thing
    altogether: the trunk then has to leave. On digits, upright and then turned (accuracy of both,
    5 seeds; `benchmarks/regimes_transfer.py`): .962 before; .729 and .942 without a penalty; .958
    and .930 with `"ewc"`, .941 and .925 with `"l2_sp"`; .903 and .942 with 5 % of the old rows
    instead; .967 and .940 with all of them.

    Args:
        network: The trained network, or the `BalancedModel` that has trained it.
        dataset: Batches of `(x, y)` or `(x, y, w)` of the old tasks; some hundred rows will do. A
            row counts for the tasks that have a label in it. `None` is enough for `"l2_sp"`.
        tasks: The old tasks, all of the network's.
        rule: `"ewc"` or `"l2_sp"`. Defaults to `"ewc"`.
        strength: The factor. Defaults to `None`: 100 for `"ewc"`, 0.1 for `"l2_sp"`.
        layers: Patterns of names of layers whose trainable variables are kept. Defaults to `"*"`:
            all of them.
        seed: For draws. Defaults to `0`.

    Returns:
        The penalty. It holds two numbers for each number that it keeps.

    Raises:
        TypeError: If the network does not show its graph.
        ValueError: If the rule is unknown, the tasks are not the network's, no variable is
            trainable, or, for `"ewc"`, a task has no label in the dataset or no known likelihood.

    Example:
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> x, y = np.ones((8, 4)), {"click": np.ones(8), "price": np.zeros(8)}
        >>> old = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
        >>> penalty = remember(network, old, tasks)
        >>> buy = mtl.Task.binary("buy")
        >>> larger = mtl.transfer.add_task(network, buy)
        >>> model = mtl.BalancedModel(
        ...     larger, [*tasks, buy], mtl.balancers.Equal(), penalties=[penalty]
        ... )

    Reference:
        `"ewc"`: Kirkpatrick et al. 2017, arXiv:1612.00796. Popular code takes the square of the
        gradient of a batch, which is far too small, or the labels of the data in place of the
        network's own predictions, which is no Fisher information. `"l2_sp"`: Li et al. 2018,
        arXiv:1802.01483, without its second term on new layers, which is a regularizer of theirs.
        Importances of several tasks are added up; the papers have one.
    """
    network = read_network(network)
    tasks = check_tasks(tasks)
    check_outputs(network, tasks)
    if rule not in _STRENGTHS:
        raise ValueError(f"rule must be one of {list(_STRENGTHS)}; received {rule!r}.")
    variables = _kept_variables(network, layers)
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    factor = _STRENGTHS[rule] if strength is None else strength
    penalty = KeepNear(shapes, factor, name=f"remember_{rule}")
    importances: list[Any] = [None] * len(variables)
    if rule == "ewc":
        if not isinstance(dataset, tf.data.Dataset):
            raise ValueError(
                "rule='ewc' needs rows of the old tasks, a batched tf.data.Dataset; received "
                f"{dataset!r}. Pass some of them, or use rule='l2_sp'."
            )
        importances = list(
            fisher_information(network, list(variables.values()), dataset, tasks, seed)
        )
    for (name, variable), importance in zip(variables.items(), importances, strict=True):
        penalty.keep(name, keras.ops.convert_to_numpy(variable), importance)
    return penalty


def _kept_variables(network: keras.Model, layers: str | Sequence[str]) -> dict[str, Any]:
    """Returns the trainable variables of some layers by name.

    Raises:
        ValueError: If no layer matches, or none of its variables is trainable.
    """
    matched = match_layers(network, read_patterns(layers, "layers"), "layers")
    wanted = {id(v) for layer in matched.values() for v in layer.trainable_variables}
    variables = {
        name: variable
        for name, variable in variables_by_name(network).items()
        if id(variable) in wanted
    }
    if not variables:
        raise ValueError(f"the layers {list(matched)} have no trainable variables to remember.")
    return variables
