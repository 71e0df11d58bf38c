"""The structure of a dataset's elements: `(x, y)` or `(x, y, w)`, with dicts keyed by task."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task


@dataclasses.dataclass(frozen=True)
class Element:
    """Holds the specs of one element of a dataset.

    Args:
        inputs: A spec, or a structure of specs.
        labels: By task.
        weights: Sample weights, by task; empty where the dataset yields none.
        weighted: Whether the dataset yields weights.
    """

    inputs: Any
    labels: dict[str, Any]
    weights: dict[str, Any]
    weighted: bool


def read_element(
    dataset: Any,
    tasks: Sequence[Task],
    *,
    every_label: bool = True,
    every_weight: bool = False,
) -> Element:
    """Reads the specs of a dataset's elements, and checks that they are keyed by the tasks.

    Args:
        dataset: Should be a `tf.data.Dataset` of `(x, y)` or `(x, y, w)`.
        tasks: The tasks; only those that have a label may have weights.
        every_label: Whether each task needs a label. Defaults to `True`.
        every_weight: Whether each task needs weights, if the dataset yields weights at all.
            Defaults to `False`.

    Raises:
        TypeError: If the structure is another one; see `read_specs`.
        ValueError: If a label or a weight belongs to no task, or one that is needed is not there.
    """
    element = read_specs(dataset)
    check_keys(element.labels, tasks, "label", complete=every_label)
    labeled = [task for task in tasks if task.name in element.labels]
    complete = every_weight and element.weighted
    check_keys(element.weights, labeled, "sample weight", complete=complete)
    return element


def read_specs(dataset: Any) -> Element:
    """Reads the specs of a dataset's elements, whatever tasks their labels belong to.

    Raises:
        TypeError: If `dataset` is no `tf.data.Dataset`, does not yield `(x, y)` or `(x, y, w)`,
            or its labels or weights are no dicts.
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
    # Keras makes an empty optional of a `None` in the batches of a generator or a `PyDataset`.
    weighted = len(spec) == 3 and not isinstance(spec[2], tf.OptionalSpec | tf.NoneTensorSpec)
    labels, weights = spec[1], spec[2] if weighted else {}
    # docs/keras_notes.md, F2 and pain 16; keras#20596
    cure = " To weigh examples alike for all tasks, give each task the same tensor."
    for entries, name, hint in ((labels, "labels", ""), (weights, "sample weights", cure)):
        if not isinstance(entries, Mapping):
            raise TypeError(
                f"{name} must be a dict from task name to tensor; received {_brief(entries)}. "
                "Keras would bind a list to the tasks in alphabetical order, and one tensor "
                "to all of them, without a word." + hint
            )
    return Element(spec[0], dict(labels), dict(weights), weighted)


def check_keys(
    entries: Mapping[str, Any], tasks: Sequence[Task], kind: str, *, complete: bool
) -> None:
    """Checks the keys of a dict against the names of the tasks.

    Args:
        entries: Keyed by task name.
        tasks: The tasks.
        kind: The noun for one entry in the message, such as `"label"`.
        complete: Whether every task needs an entry.

    Raises:
        ValueError: If an entry names no task, or a task that needs one has no entry.
    """
    # Keras's own error prints both dicts and names no task (docs/keras_notes.md, pain 5).
    names = {task.name for task in tasks}
    unknown = sorted(map(repr, entries.keys() - names))
    absent = sorted(map(repr, names - entries.keys())) if complete else []
    if not unknown and not absent:
        return
    errors = [f"no {kind} for task {', '.join(absent)}"] if absent else []
    errors += [f"{kind} {', '.join(unknown)} belongs to no task"] if unknown else []
    raise ValueError(
        f"{' and '.join(errors)}; received {sorted(map(str, entries))}, expected "
        f"{sorted(names)}. Rename, add or drop entries with dataset.map"
        + (" (data.mask_missing adds weights)." if kind == "sample weight" else ".")
    )


def is_batched(inputs: Any, labels: Mapping[str, Any], tasks: Sequence[Task]) -> bool:
    """Tells whether the first axis of an element counts examples.

    The first task that knows the shape of its labels decides. If none knows, the element counts as
    batched when all its tensors have a first axis of the same length.

    Args:
        inputs: The specs of the inputs.
        labels: The specs of the labels, by task.
        tasks: The tasks that have a label in the element.
    """
    for task in tasks:
        if task.labels is None:
            continue
        shape = labels[task.name].shape
        axes = shape.rank - len(task.labels.shape)
        if axes == 1 and shape.is_fully_defined() and shape[-1] == 1:
            # Either a batch of one, or a single example whose label is in a list: (..., 1).
            return not shape[:-1].is_compatible_with(task.labels.shape)
        return bool(axes > 0)
    shapes = [leaf.shape for leaf in [*tf.nest.flatten(inputs), *labels.values()]]
    return all(shape.rank > 0 for shape in shapes) and len({shape[0] for shape in shapes}) == 1


def _brief(spec: Any) -> str:
    """Returns the kind of a structure: its specs may be a thousand."""
    if isinstance(spec, (tuple, list)):
        return f"a {type(spec).__name__} of length {len(spec)}"
    if isinstance(spec, tf.TensorSpec):
        return f"one tensor of shape {spec.shape}"
    return f"a {type(spec).__name__}"
