"""Brings what several sets yield to one structure: the same inputs, every label, every weight."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data._elements._element import check_keys, split_element
from keras_mtl.data._elements._make_blank import blank, is_batched
from keras_mtl.data._elements._merge_weights import merge_weights


@dataclasses.dataclass(frozen=True)
class Layout:
    """Specs of one example, without the axis of the batch.

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
        """About how large an example is."""
        leaves = [*tf.nest.flatten(self.inputs), *self.labels.values()]
        sizes = (leaf.shape.num_elements() or 1 for leaf in leaves)
        widths = (256 if leaf.dtype == tf.string else leaf.dtype.size for leaf in leaves)
        return int(sum(size * width for size, width in zip(sizes, widths, strict=True)))


def read_layout(name: str, dataset: Any, tasks: Sequence[Task]) -> Layout:
    """The layout of one set.

    Raises:
        TypeError: If it does not yield `(x, y)` or `(x, y, w)` with dicts by task.
        ValueError: If a label or weight belongs to no task, or there is no label.
    """
    try:
        inputs, labels, weights = split_element(dataset)
        check_keys(labels, tasks, "label", complete=False)
        labeled = [task for task in tasks if task.name in labels]
        check_keys(weights, labeled, "sample weight", complete=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"set {name!r}: {error}") from error
    if not labels:
        raise ValueError(f"set {name!r} has no label of any task; leave it out of the mixture.")
    for leaf in [*tf.nest.flatten(inputs), *labels.values()]:
        if not isinstance(leaf, tf.TensorSpec) or leaf.shape.rank is None:
            raise TypeError(
                f"set {name!r} yields {leaf}; expected dense tensors of known rank. Pad ragged "
                "inputs with dataset.map(...to_tensor), ragged labels with data.mask_missing."
            )
    batched = is_batched(inputs, labels, labeled)
    if batched:
        inputs, labels = tf.nest.map_structure(
            lambda leaf: tf.TensorSpec(leaf.shape[1:], leaf.dtype), (inputs, labels)
        )
    return Layout(inputs, labels, batched)


def join_layouts(layouts: Mapping[str, Layout], tasks: Sequence[Task]) -> Layout:
    """One layout that holds all sets.

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
            n: each.labels[task.name] for n, each in layouts.items() if task.name in each.labels
        }
        if not specs:
            have = {name: sorted(layout.labels) for name, layout in layouts.items()}
            raise ValueError(f"task {task.name!r}: no set has labels of it; the sets have {have}.")
        labels[task.name] = _join_labels(task, specs)
    inputs = _join_inputs({name: layout.inputs for name, layout in layouts.items()})
    return Layout(inputs, labels, next(iter(kinds.values())))


def filler(name: str, layout: Layout, tasks: Sequence[Task]) -> Callable[..., Any]:
    """A function that gives batches of one set the inputs, labels and weights of all.

    What the set does not have is zero; labels that it does not have weigh 0, others 1 or what
    the set's weights say.

    It raises `tf.errors.InvalidArgumentError` where a label that counts is out of the task's
    range, and names the set, the task and the labels.
    """

    def fill(x: Any, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        rows = tf.shape(tf.nest.flatten(x)[0])[0]
        zeros = functools.cache(lambda spec, dtype: blank(spec, dtype, rows, x))
        labels, weights = {}, {}
        for task in tasks:
            spec = layout.labels[task.name]
            if task.name in y:
                label = _align(tf.cast(y[task.name], spec.dtype), spec)
                weights[task.name] = merge_weights(tf.ones_like(label, tf.float32), w, task)
                labels[task.name] = _checked(name, task, label, weights[task.name])
            else:
                labels[task.name] = zeros(spec, spec.dtype)
                weights[task.name] = zeros(spec, tf.float32)
        if isinstance(layout.inputs, Mapping):
            joined = layout.inputs.items()
            x = {key: x[key] if key in x else zeros(spec, spec.dtype) for key, spec in joined}
        return x, labels, weights

    return fill


def _join_labels(task: Task, specs: Mapping[str, tf.TensorSpec]) -> tf.TensorSpec:
    """The spec that fits the labels of a task in all sets."""
    ranks = {spec.shape.rank for spec in specs.values()}
    shapes = [spec.shape for spec in specs.values()]
    if len(ranks) > 1:  # (..., 1) is as good as (...)
        shapes = [s[:-1] if s.rank > min(ranks) and s[-1] == 1 else s for s in shapes]
    if len({shape.rank for shape in shapes}) > 1:
        found = {name: spec.shape for name, spec in specs.items()}
        raise ValueError(f"task {task.name!r}: labels have the shapes {found}, by set.")
    dtypes = {spec.dtype for spec in specs.values()}
    if len(dtypes) == 1:
        (dtype,) = dtypes
    else:
        dtype = tf.float32 if any(each.is_floating for each in dtypes) else tf.int64
    return tf.TensorSpec(_join_shapes(shapes), dtype)


def _join_inputs(inputs: Mapping[str, Any]) -> Any:
    """The specs of the inputs of all sets: equal ones, or the union of dicts."""
    if all(isinstance(each, Mapping) for each in inputs.values()):
        keys = list(dict.fromkeys(key for each in inputs.values() for key in each))
        joined = {}
        for key in keys:
            having = {name: each[key] for name, each in inputs.items() if key in each}
            joined[key] = _join_specs(having, f"input {key!r}")
            if len(having) < len(inputs) and not joined[key].shape.is_fully_defined():
                raise ValueError(
                    f"input {key!r} has shape {joined[key].shape} an example, and set(s) "
                    f"{sorted(inputs.keys() - having.keys())} have none of it; pad it to a fixed "
                    "shape, so that it can be filled with zeros."
                )
        return joined
    (first, reference), *others = inputs.items()
    for name, each in others:
        try:
            tf.nest.assert_same_structure(reference, each)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"the inputs of set {name!r} and set {first!r} have different structures, {each} "
                f"and {reference}. Sets with different inputs yield them as dicts, by input."
            ) from error
    return tf.nest.map_structure(
        lambda *specs: _join_specs(dict(zip(inputs, specs, strict=True)), "the input"),
        *inputs.values(),
    )


def _join_specs(specs: Mapping[str, tf.TensorSpec], what: str) -> tf.TensorSpec:
    dtypes = {spec.dtype for spec in specs.values()}
    ranks = {spec.shape.rank for spec in specs.values()}
    if len(dtypes) > 1 or len(ranks) > 1:
        found = {name: f"{spec.dtype.name} {spec.shape}" for name, spec in specs.items()}
        raise ValueError(
            f"{what} differs between sets: {found}, by set. Cast or reshape it with dataset.map."
        )
    return tf.TensorSpec(_join_shapes([spec.shape for spec in specs.values()]), dtypes.pop())


def _join_shapes(shapes: Sequence[tf.TensorShape]) -> tf.TensorShape:
    axes = zip(*(shape.as_list() for shape in shapes), strict=True)
    return tf.TensorShape([sizes[0] if len(set(sizes)) == 1 else None for sizes in axes])


def _align(label: tf.Tensor, spec: tf.TensorSpec) -> tf.Tensor:
    """Labels (batch, ..., 1) as (batch, ...), where other sets have them so."""
    return label if label.shape.rank == spec.shape.rank + 1 else tf.squeeze(label, -1)


def _checked(name: str, task: Task, label: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """The label, once those that count are seen to be in range."""
    expected = task.labels
    if expected is None or not (label.dtype.is_floating or label.dtype.is_integer):
        return label
    low = -np.inf if expected.low is None else expected.low
    high = np.inf if expected.high is None else expected.high
    if np.isinf([low, high]).all():
        return label
    value = tf.cast(label, tf.float64)
    wrong = tf.gather_nd(label, tf.where(((value < low) | (value > high)) & (weight > 0)))
    message = f"set {name!r}, task {task.name!r}: labels must be {low:g} to {high:g}; received"
    hint = "If it marks a missing label, use data.mask_missing(dataset, tasks, sentinel=...)."
    # The bare operation: tf.debugging.Assert wraps it in a cond, which costs more than the rest.
    check = tf.raw_ops.Assert(condition=tf.size(wrong) == 0, data=[message, wrong, hint])
    with tf.control_dependencies([check]):
        return tf.identity(label)
