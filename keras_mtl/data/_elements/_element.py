"""The structure of what a dataset yields: `(x, y)` or `(x, y, w)`, with dicts keyed by task."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task


def split_element(dataset: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The specs of inputs, labels and sample weights; no weights are an empty dict.

    Raises:
        TypeError: If it is no `tf.data.Dataset`, does not yield `(x, y)` or `(x, y, w)`, or
            labels or weights are no dicts.
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(
            f"expected a tf.data.Dataset of (x, y) or (x, y, w); received a "
            f"{type(dataset).__name__}. tf.data.Dataset.from_tensor_slices((x, y)).batch(...) "
            "makes one of arrays."
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise TypeError(f"the dataset must yield (x, y) or (x, y, w); it yields {_brief(spec)}.")
    labels, weights = spec[1], spec[2] if len(spec) == 3 else {}
    for part, what in ((labels, "labels"), (weights, "sample weights")):
        if not isinstance(part, Mapping):
            raise TypeError(
                f"{what} must be a dict from task name to tensor; received {_brief(part)}. "
                "Keras would bind a list to the tasks in alphabetical order, and one tensor "
                "to all of them, without a word."
            )
    return spec[0], dict(labels), dict(weights)


def check_keys(
    entries: Mapping[str, Any], tasks: Sequence[Task], what: str, *, complete: bool
) -> None:
    """Compares the keys of a dict with the names of the tasks.

    Args:
        entries: Keyed by task name.
        tasks: The tasks.
        what: What an entry is, for the message.
        complete: Whether every task needs an entry.

    Raises:
        ValueError: If an entry names no task, or a task that needs one has no entry.
    """
    names = {task.name for task in tasks}
    unknown = sorted(map(repr, entries.keys() - names))
    absent = sorted(map(repr, names - entries.keys())) if complete else []
    if not unknown and not absent:
        return
    found = [f"no {what} for task {', '.join(absent)}"] if absent else []
    found += [f"{what} {', '.join(unknown)} belongs to no task"] if unknown else []
    raise ValueError(
        f"{' and '.join(found)}; received {sorted(map(str, entries))}, expected "
        f"{sorted(names)}. Rename, add or drop entries with dataset.map"
        + (" (data.mask_missing adds weights)." if what == "sample weight" else ".")
    )


def _brief(spec: Any) -> str:
    """The kind of a structure, without its thousand specs."""
    if isinstance(spec, (tuple, list)):
        return f"a {type(spec).__name__} of length {len(spec)}"
    if isinstance(spec, tf.TensorSpec):
        return f"one tensor of shape {spec.shape}"
    return f"a {type(spec).__name__}"
