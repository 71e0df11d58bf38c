"""Weights from counts of labels: for the classes of a task, and for tasks."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._label_summary import LabelSummary


def balanced_class_weights(
    summaries: Mapping[str, LabelSummary], *, beta: float | None = None
) -> dict[str, dict[int, float]]:
    """Weights under which rare classes count as much as frequent ones, for `class_weights`.

    With n_c examples of class c, C classes and n examples, a class weighs n / (C n_c): all
    classes together weigh the same. With `beta`, it weighs in proportion to
    (1 - beta) / (1 - beta^n_c), and the weights of a task sum to C: what an example adds gets
    less the more there are, so weights are less extreme. Choose it where a class is so rare
    that its few examples would rule the task; choose `resample` where batches would hold none.

    Args:
        summaries: What `describe` returned. Tasks without classes, and tasks of several
            columns, are left out.
        beta: In [0, 1): 0 for no weighting, near 1 for that by counts. The paper takes .9 to
            .9999. Defaults to weights by counts.

    Returns:
        By task, the weight of each class that has an example.

    Raises:
        ValueError: If beta is not in [0, 1).

    Example:
        >>> summary = {"rare": LabelSummary(classes={0: 90, 1: 10})}
        >>> balanced_class_weights(summary)["rare"]
        {0: 0.5555555555555556, 1: 5.0}
        >>> balanced_class_weights(summary, beta=0.9)["rare"]
        {0: 0.7888..., 1: 1.2111...}

    Reference: Cui et al., "Class-Balanced Loss Based on Effective Number of Samples"
    (arXiv:1901.05555).
    """
    if beta is not None and not 0 <= beta < 1:
        raise ValueError(f"beta must be at least 0 and below 1; received {beta}.")
    weights = {}
    for name, summary in summaries.items():
        counts = {value: count for value, count in sorted(summary.classes.items()) if count}
        if not counts or summary.columns:
            continue
        sizes = np.array(list(counts.values()), np.float64)
        if beta is None:
            shares = sizes.sum() / (len(sizes) * sizes)
        else:
            shares = (1 - beta) / (1 - beta**sizes)
            shares *= len(sizes) / shares.sum()
        weights[name] = dict(zip(counts, shares.tolist(), strict=True))
    return weights


def weigh_tasks(
    summaries: Mapping[str, LabelSummary], tasks: Sequence[Task], *, power: float = 1.0
) -> list[Task]:
    """Tasks weighted by how many labels they have.

    The loss of a task is a mean over its valid labels, so tasks count alike however few labels
    they have. With power 1 each *label* counts alike instead: w_k is proportional to n_k^power,
    and the weights have mean 1. Choose it where a task with few labels would shape the shared
    part by noise; a negative power strengthens such tasks. `BalancedModel` finds weights from
    losses and gradients instead, which counts do not know.

    Args:
        summaries: What `describe` returned.
        tasks: The tasks; what they weigh already is multiplied in.
        power: Exponent of the number of labels. Defaults to `1.0`.

    Returns:
        New tasks, in the same order.

    Raises:
        ValueError: If a task is not in `summaries` or has no label.

    Example:
        >>> summary = {"often": LabelSummary(labels=300), "seldom": LabelSummary(labels=100)}
        >>> tasks = [Task.binary("seldom"), Task.binary("often")]
        >>> [task.weight for task in weigh_tasks(summary, tasks)]
        [0.5, 1.5]
    """
    tasks = check_tasks(tasks)
    for task in tasks:
        if task.name not in summaries or not summaries[task.name].labels:
            raise ValueError(
                f"task {task.name!r} has no labels in the summary, which holds "
                f"{sorted(summaries)}; describe the data that it is trained on."
            )
    factors = [summaries[task.name].labels ** power for task in tasks]
    mean = math.fsum(factors) / len(factors)
    return [
        dataclasses.replace(task, weight=task.weight * factor / mean)
        for task, factor in zip(tasks, factors, strict=True)
    ]
