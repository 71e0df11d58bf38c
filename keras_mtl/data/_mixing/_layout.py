"""The one structure of a mixture's elements: all inputs, and a label and weight for each task."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data._elements._element import is_batched, read_element


@dataclasses.dataclass(frozen=True)
class Layout:
    """Holds the specs of one example, without the batch axis.

    Args:
        inputs: A spec, or a structure of specs; a dict where sets have different inputs.
        labels: By task.
        batched: Whether elements are batches of such examples.
    """

    inputs: Any
    labels: dict[str, tf.TensorSpec]
    batched: bool

    @property
    def fixed(self) -> bool:
        """Whether all examples have one shape."""
        leaves = [*tf.nest.flatten(self.inputs), *self.labels.values()]
        return all(leaf.shape.is_fully_defined() for leaf in leaves)

    @property
    def bytes(self) -> int:
        """The approximate size of an example; strings count as 256 bytes."""
        leaves = [*tf.nest.flatten(self.inputs), *self.labels.values()]
        sizes = (leaf.shape.num_elements() or 1 for leaf in leaves)
        widths = (256 if leaf.dtype == tf.string else leaf.dtype.size for leaf in leaves)
        return int(sum(size * width for size, width in zip(sizes, widths, strict=True)))


def read_layout(name: str, dataset: Any, tasks: Sequence[Task]) -> Layout:
    """Reads the layout of one set.

    Raises:
        TypeError: If the set does not yield `(x, y)` or `(x, y, w)` with dicts by task, or
            yields ragged tensors or tensors of unknown rank.
        ValueError: If a label or weight belongs to no task, or there is no label.
    """
    try:
        element = read_element(dataset, tasks, every_label=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"set {name!r}: {error}") from error
    inputs, labels = element.inputs, element.labels
    if not labels:
        raise ValueError(f"set {name!r} has no label of any task; leave it out of the mixture.")
    for leaf in [*tf.nest.flatten(inputs), *labels.values()]:
        if not isinstance(leaf, tf.TensorSpec) or leaf.shape.rank is None:
            raise TypeError(
                f"set {name!r} yields {leaf}; expected dense tensors of known rank. Pad ragged "
                "inputs with dataset.map(...to_tensor), ragged labels with data.mask_missing."
            )
    batched = is_batched(inputs, labels, [task for task in tasks if task.name in labels])
    if batched:
        inputs, labels = tf.nest.map_structure(
            lambda leaf: tf.TensorSpec(leaf.shape[1:], leaf.dtype), (inputs, labels)
        )
    return Layout(inputs, labels, batched)


def join_layouts(layouts: Mapping[str, Layout], tasks: Sequence[Task]) -> Layout:
    """Returns one layout for the elements of all sets.

    TensorFlow draws only from datasets with equal specs (docs/keras_notes.md, pain 51).

    Raises:
        ValueError: If sets clash, or no set labels a task. The message names them.
    """
    kinds = {name: layout.batched for name, layout in layouts.items()}
    if len(set(kinds.values())) > 1:
        batched = sorted(name for name, kind in kinds.items() if kind)
        raise ValueError(
            f"the set(s) {batched} yield batches, the others single examples; batch all or none."
        )
    labels = {}
    for task in tasks:
        specs = {
            name: layout.labels[task.name]
            for name, layout in layouts.items()
            if task.name in layout.labels
        }
        if not specs:
            have = {name: sorted(layout.labels) for name, layout in layouts.items()}
            raise ValueError(f"task {task.name!r}: no set has labels of it; the sets have {have}.")
        labels[task.name] = _join_labels(task, specs)
    inputs = _join_inputs({name: layout.inputs for name, layout in layouts.items()})
    return Layout(inputs, labels, next(iter(kinds.values())))


def _join_labels(task: Task, specs: Mapping[str, tf.TensorSpec]) -> tf.TensorSpec:
    """Returns the spec that fits the labels of a task in all sets."""
    ranks = {spec.shape.rank for spec in specs.values()}
    shapes = [spec.shape for spec in specs.values()]
    if len(ranks) > 1:  # (..., 1) is as good as (...)
        shapes = [s[:-1] if s.rank > min(ranks) and s[-1] == 1 else s for s in shapes]
    if len({shape.rank for shape in shapes}) > 1:
        by_set = {name: spec.shape for name, spec in specs.items()}
        raise ValueError(f"task {task.name!r}: labels have the shapes {by_set}, by set.")
    dtypes = {spec.dtype for spec in specs.values()}
    if len(dtypes) == 1:
        (dtype,) = dtypes
    else:
        dtype = tf.float32 if any(dtype.is_floating for dtype in dtypes) else tf.int64
    return tf.TensorSpec(_join_shapes(shapes), dtype)


def _join_inputs(inputs: Mapping[str, Any]) -> Any:
    """Returns the specs of the inputs of all sets: the union of dicts, or equal structures."""
    if all(isinstance(specs, Mapping) for specs in inputs.values()):
        return _join_dicts(inputs)
    (first, reference), *rest = inputs.items()
    for name, specs in rest:
        try:
            tf.nest.assert_same_structure(reference, specs)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"the inputs of set {name!r} and set {first!r} have different structures, {specs} "
                f"and {reference}. Sets with different inputs yield them as dicts, by input."
            ) from error
    return tf.nest.map_structure(
        lambda *specs: _join_specs(dict(zip(inputs, specs, strict=True)), "the input"),
        *inputs.values(),
    )


def _join_dicts(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, tf.TensorSpec]:
    """Returns the union of dicts of inputs; an input that a set lacks needs a fixed shape."""
    keys = list(dict.fromkeys(key for specs in inputs.values() for key in specs))
    joined = {}
    for key in keys:
        having = {name: specs[key] for name, specs in inputs.items() if key in specs}
        joined[key] = _join_specs(having, f"input {key!r}")
        if len(having) < len(inputs) and not joined[key].shape.is_fully_defined():
            raise ValueError(
                f"input {key!r} has shape {joined[key].shape} per example, and set(s) "
                f"{sorted(inputs.keys() - having.keys())} have none of it; pad it to a fixed "
                "shape, so that it can be filled with zeros."
            )
    return joined


def _join_specs(specs: Mapping[str, tf.TensorSpec], subject: str) -> tf.TensorSpec:
    """Returns the spec that fits one input of all sets; `subject` names it in messages."""
    dtypes = {spec.dtype for spec in specs.values()}
    ranks = {spec.shape.rank for spec in specs.values()}
    if len(dtypes) > 1 or len(ranks) > 1:
        by_set = {name: f"{spec.dtype.name} {spec.shape}" for name, spec in specs.items()}
        raise ValueError(
            f"{subject} differs between sets: {by_set}, by set. Cast or reshape it with "
            "dataset.map."
        )
    return tf.TensorSpec(_join_shapes([spec.shape for spec in specs.values()]), dtypes.pop())


def _join_shapes(shapes: Sequence[tf.TensorShape]) -> tf.TensorShape:
    """Returns the shape that fits all: an axis whose length differs is of unknown length."""
    axes = zip(*(shape.as_list() for shape in shapes), strict=True)
    return tf.TensorShape([sizes[0] if len(set(sizes)) == 1 else None for sizes in axes])
