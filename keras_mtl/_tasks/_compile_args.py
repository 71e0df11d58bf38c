"""The losses, loss weights and metrics of tasks, as `keras.Model.compile` takes them."""

from collections.abc import Sequence
from typing import Any

from keras_mtl._tasks._task import Task, check_tasks


def compile_args(tasks: Sequence[Task]) -> dict[str, Any]:
    """Returns the arguments of `network.compile`: losses, loss weights and metrics, by task.

    Choose it to train with plain Keras and fixed task weights. For weights that a balancer
    chooses, use `BalancedModel`, which makes losses and metrics itself.

    Losses are means over the valid labels of the global batch. Metrics count valid labels only,
    and their names in the logs are `<task>_<metric>` for one task as for many.
    `<task>_mean_loss` is the task's loss averaged over valid labels (`<task>_loss`, which Keras
    adds, averages batches).

    Pass `shuffle=False` to `network.fit` with a dataset, which keeps its own order in any case:
    Keras warns of its default `shuffle=True` otherwise. `BalancedModel.fit` does so itself.

    A task without a valid label in a batch has a gradient of 0, which is no rest for its tower:
    under optimizers with moments or weight decay (Adam, AdamW, momentum) it goes on moving, and
    moving averages follow each batch. Keras offers plain training nothing against it, except SGD
    without momentum and without weight decay, under which the tower stays. `BalancedModel` with
    `balancers.Equal()` or `Fixed` takes the same steps and lets absent tasks rest.

    Args:
        tasks: The tasks of the network, in any order.

    Returns:
        Keyword arguments: `loss`, `loss_weights` and `weighted_metrics`, each a dict by task
        name. Losses and metrics are new objects in each call.

    Raises:
        TypeError: If an entry is not a `Task`.
        ValueError: If there is no task, or two tasks share a name.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price", weight=0.1)]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks)
        >>> network.compile("adam", **mtl.compile_args(tasks))
        >>> mtl.compile_args(tasks)["loss_weights"]
        {'click': 1.0, 'price': 0.1}
    """
    tasks = check_tasks(tasks)
    # A model with one output logs its metrics without the output's name.
    prefixes = {task.name: f"{task.name}_" if len(tasks) == 1 else "" for task in tasks}
    return {
        "loss": {task.name: task.make_loss() for task in tasks},
        "loss_weights": {task.name: task.weight for task in tasks},
        # Keras passes sample weights, and so the missing labels, to weighted metrics alone.
        "weighted_metrics": {
            task.name: task.make_metrics(prefix=prefixes[task.name]) for task in tasks
        },
    }
