"""Task weights from counts of labels."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from keras_mtl._tasks import Task, check_tasks, is_variable
from keras_mtl.data._elements._numbers import read_number
from keras_mtl.data._label_summary import LabelSummary


def weigh_tasks(
    summaries: Mapping[str, LabelSummary], tasks: Sequence[Task], *, power: float = 1.0
) -> list[Task]:
    """Weighs tasks by their numbers of labels.

    The loss of a task is a mean over its valid labels, so tasks count alike however few labels
    they have. With power 1 each *label* counts alike instead: w_k is proportional to n_k^power,
    and the weights have mean 1. Choose it where a task with few labels would shape the shared
    part by noise; a negative power strengthens such tasks. `BalancedModel` computes weights from
    losses and gradients instead, which say more than counts do.

    Args:
        summaries: The result of `describe`.
        tasks: The tasks; the weights that they have already are multiplied in.
        power: Exponent of the number of labels. Defaults to `1.0`.

    Returns:
        New tasks, in the same order.

    Raises:
        ValueError: If a task is not in `summaries` or has no label, the power is no number, or
            the weight of a task is a variable.

    Example:
        >>> from keras_mtl import Task
        >>> summary = {"often": LabelSummary(labels=300), "seldom": LabelSummary(labels=100)}
        >>> tasks = [Task.binary("seldom"), Task.binary("often")]
        >>> [task.weight for task in weigh_tasks(summary, tasks)]
        [0.5, 1.5]
    """
    tasks = check_tasks(tasks)
    power = read_number(power, "power is")
    for task in tasks:
        if task.name not in summaries or not summaries[task.name].labels:
            raise ValueError(
                f"task {task.name!r} has no labels in the summary, which holds "
                f"{sorted(summaries)}; describe the data that it is trained on."
            )
        if is_variable(task.weight):
            raise ValueError(
                f"task {task.name!r}: its weight is a variable, which a new number would replace; "
                "give it a number here, or assign the variable yourself."
            )
    factors = [summaries[task.name].labels ** power for task in tasks]
    mean = math.fsum(factors) / len(factors)
    return [
        dataclasses.replace(task, weight=task.weight * factor / mean)
        for task, factor in zip(tasks, factors, strict=True)
    ]
