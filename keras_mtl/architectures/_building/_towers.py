"""Towers of many tasks that are alike, computed together."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Head, Task, attach_activation
from keras_mtl._types import Tensor
from keras_mtl.layers import Towers

LEAST = 8
"""From so many tasks on, towers made from units are computed together.

That halves the time until training begins, or better. Fewer are soon traced, and layers of their
own can be read, frozen and served apart.
"""


def side_by_side(
    units: Sequence[int], features: Mapping[str, Tensor], tasks: Sequence[Task], activation: Any
) -> dict[str, Tensor]:
    """Predictions of the tasks of which at least `LEAST` have towers and heads of one shape.

    Args:
        units: Sizes of a tower's layers, without that of the head.
        features: What each task's tower reads, by the name of the task.
        tasks: The tasks.
        activation: Activation of the towers' layers.

    Returns:
        Predictions by the name of the task, of those tasks alone.
    """
    groups: dict[Any, list[tuple[Task, Head]]] = {}
    for task in tasks:
        mine = features[task.name]
        dense = keras.backend.is_float_dtype(mine.dtype) and mine.shape[-1] is not None
        if dense and isinstance(task.head, Head) and task.columns is None:
            groups.setdefault((mine.shape, mine.dtype, task.head.units), []).append(
                (task, task.head)
            )
    outputs = {}
    many = [(key, group) for key, group in groups.items() if len(group) >= LEAST]
    for i, ((_, _, last), group) in enumerate(many):
        towers = Towers((*units, last), activation, name=f"towers_{i}")
        logits = towers([features[task.name] for task, _ in group])
        for (task, head), mine in zip(group, logits, strict=True):
            outputs[task.name] = attach_activation(head, mine, task.name)
    return outputs
