"""How many labels the tasks have in each part, and the first of them."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.studies._data._parts import PARTS, StudyData

_MOST_ROWS = 20_000


def count_labels(data: StudyData, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Returns a table of parts and tasks: rows, labels, the share that is missing, their mean.

    Reads every part once; of endless training data, the batches of one epoch.
    """
    table = []
    for part in PARTS:
        batches = data.open(part, tasks)
        if part == "train" and data.steps is not None:
            batches = batches.take(data.steps)
        counts = {task.name: np.zeros(3) for task in tasks}  # places, labels, their sum
        rows = 0
        for _, labels, weights in batches:
            rows += len(labels[tasks[0].name])
            for task in tasks:
                w = weights[task.name].numpy()
                y = labels[task.name].numpy().reshape((*w.shape, -1)).mean(axis=-1)
                counts[task.name] += w.size, (w != 0).sum(), y[w != 0].sum()
        for task in tasks:
            places, number, total = counts[task.name]
            table.append(
                {
                    "part": part,
                    "task": task.name,
                    "rows": rows,
                    "labels": int(number),
                    "missing %": 100.0 * float(1.0 - number / places) if places else None,
                    "mean label": float(total / number) if number else None,
                }
            )
    return table


def read_labels(data: StudyData, tasks: Sequence[Task]) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the first labels of the training rows, and the kinds of tasks that are classes.

    Tasks with several labels per row that belong together are left out.
    """
    gathered: dict[str, list[Any]] = {task.name: [] for task in tasks}
    rows = 0
    for _, labels, weights in itertools.islice(data.open("train", tasks), data.steps):
        for task in tasks:
            y, w = labels[task.name].numpy(), weights[task.name].numpy()
            if y.ndim == 2 and y.shape[1] == 1:
                y, w = y[:, 0], w.reshape(len(w), -1)[:, 0]
            if y.ndim > 2 or (y.ndim == 2 and not task.elementwise):
                continue
            if w.ndim < y.ndim:
                w = w.reshape(w.shape + (1,) * (y.ndim - w.ndim))
            gathered[task.name].append(np.where(w == 0, np.nan, y.astype(np.float64)))
        rows += len(labels[tasks[0].name])
        if rows >= _MOST_ROWS:
            break
    kinds = {task.name: "classes" for task in tasks if task.described().kind == "class"}
    read = {name: np.concatenate(parts)[:_MOST_ROWS] for name, parts in gathered.items() if parts}
    return read, {name: kind for name, kind in kinds.items() if name in read}
