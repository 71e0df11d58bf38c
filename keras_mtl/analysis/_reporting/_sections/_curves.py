"""Metrics and task weights after each epoch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_mtl.analysis import figures
from keras_mtl.analysis._curves import Curves, read_curves
from keras_mtl.analysis._reporting._cells import to_text
from keras_mtl.analysis._reporting._page import Section, Table, make_table
from keras_mtl.analysis._reporting._pictures import make_picture

_MOST_EPOCHS = 20  # columns of the table on the page


def make_curves(curves: Any) -> Section:
    """Returns the section of metrics after each epoch."""
    data = read_curves(curves)
    sentence = (
        "The metric of each task after each epoch, one line for each contender. Where a "
        "contender was trained with several seeds, the line is their mean, and the band reaches "
        "from the smallest to the largest value."
    )
    return _make(data, figures.curves, ("curves", "Curves by task"), sentence)


def make_weights(weights: Any) -> Section:
    """Returns the section of task weights after each epoch."""
    sentence = (
        "The weight of each task after each epoch, as the balancer chose it. A weight near 0 means "
        "that the task hardly takes part in the training of what is shared."
    )
    return _make(read_curves(weights), figures.task_weights, ("weights", "Task weights"), sentence)


def _make(
    data: Curves, draw: Callable[[Any], Any], names: tuple[str, str], sentence: str
) -> Section:
    name, heading = names
    alt = f"{heading}: {len(data.contenders)} contenders, {len(data.tasks)} tasks"
    if len(data.tasks) > 12:
        sentence += " Shown are the six tasks that changed least for the better, and the six that"
        sentence += " changed most."
    return Section(name, heading, (make_picture(draw(data), alt, sentence, _table(data, name)),))


def _table(data: Curves, name: str) -> Table:
    records, cells = [], []
    longest = 1
    for task in data.tasks:
        for contender in data.contenders:
            values = data.seeds(contender, task)
            longest = max(longest, values.shape[1])
            means = []
            for epoch, column in enumerate(values.T, 1):
                known = column[~np.isnan(column)]
                mean = float(known.mean()) if len(known) else None
                means.append(mean)
                records.append(
                    {
                        "task": task,
                        "contender": contender,
                        "metric": data.metrics.get(task, ""),
                        "epoch": epoch,
                        "mean": mean,
                        "smallest": float(known.min()) if len(known) else None,
                        "largest": float(known.max()) if len(known) else None,
                        "trainings": len(known),
                    }
                )
            cells.append((task, contender, means))
    epochs = sorted({round(e) for e in np.linspace(1, longest, min(longest, _MOST_EPOCHS))})
    header = ["task", "contender", *(f"epoch {epoch}" for epoch in epochs)]
    texts = [
        [task, contender, *(to_text(means[e - 1] if e <= len(means) else None) for e in epochs)]
        for task, contender, means in cells
    ]
    note = f"{len(epochs)} of {longest} epochs." if longest > len(epochs) else ""
    caption = "Means over trainings after each epoch"
    return make_table(name, caption, records, header=header, cells=texts, note=note)
