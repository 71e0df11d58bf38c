"""Draws from sets in a fixed order: their elements as they are, or the rows of mixed batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data._mixing._filler import make_filler
from keras_mtl.data._mixing._layout import Layout
from keras_mtl.data._mixing._order import SetIndices

# Examples that are completed at once: a call of a function costs more than its work on one of them
# (docs/keras_notes.md, pain 83).
_CHUNK = 512
_CHUNK_BYTES = 2**22
_BATCHES = 8  # the largest number of batches that are finished at once


def draw_elements(
    datasets: Mapping[str, tf.data.Dataset],
    layout: Layout,
    tasks: Sequence[Task],
    cycle: SetIndices,
) -> tf.data.Dataset:
    """Returns the elements as the sets yield them, completed, in the order of a cycle of draws."""
    fills = {name: make_filler(name, layout, tasks) for name in datasets}
    if not layout.batched:
        # example -> chunk of examples -> completed chunk -> completed example
        chunks = {name: dataset.batch(_chunk_size(layout)) for name, dataset in datasets.items()}
        filled = [_map(dataset, fills[name]).unbatch() for name, dataset in chunks.items()]
        return draw(filled, cycle)
    if not layout.fixed:
        # batch -> completed batch: labels of several lengths do not stack
        return draw([_map(dataset, fills[name]) for name, dataset in datasets.items()], cycle)
    # batch -> completed batch with stacks -> (draw) -> completed batch with dicts by task
    groups = _group_tasks(layout)
    packed = [_map(dataset, _pack(groups, fills[name])) for name, dataset in datasets.items()]
    unpack = _unpack(groups, [task.name for task in tasks])
    return _map(draw(packed, cycle), unpack, num_parallel_calls=tf.data.AUTOTUNE)


# How batches are made, for two sets a and b, `batch_size=4`, and a cycle of draws that
# takes 3 rows of a and 1 of b for its first batch, 2 and 2 for its second. A bracket is one element
# of the dataset at that place. Up to the draw, each set has a pipeline like that of set a:
#
#     a0, a1, a2, ...                        one example (x, y, w), as the set yields it
#       | .batch(chunk)
#     [a0 a1 a2 ... a511], ...               one chunk of examples
#       | .map(pack)
#     [a0 a1 a2 ... a511], ...               the same chunk, completed: x, stacks of y, stacks of w
#       | .rebatch([3, 2])
#     [a0 a1 a2], [a3 a4], ...               one run: the rows of this set for one batch
#       | draw([a, b, a, b])                 set b yields [b0], [b1 b2], ...
#     [a0 a1 a2], [b0], [a3 a4], [b1 b2]     the runs of all sets, batch by batch
#       | .rebatch(4 * 2)
#     [a0 a1 a2 b0 a3 a4 b1 b2]              two whole batches, the rows of each sorted by set
#       | .map(shuffle rows, unpack)
#     [a1 b0 a2 a0 b2 a3 b1 a4]              the rows of each batch in random order; y, w by task
#       | .rebatch(4)
#     [a1 b0 a2 a0], [b2 a3 b1 a4]           batches (x, {task: y}, {task: w})
#
# A stack holds the labels (or weights) of all tasks whose labels have one shape and dtype,
# `(rows, tasks, ...)`: a few tensors travel through the pipeline instead of two for each task.
def draw_batches(
    datasets: Mapping[str, tf.data.Dataset],
    layout: Layout,
    tasks: Sequence[Task],
    cycle: SetIndices,
    batch_size: int,
    *,
    drop_remainder: bool,
    seed: int,
) -> tf.data.Dataset:
    """Returns batches of examples of all sets, as a cycle of draws composes them.

    Rows are moved in runs, not one by one: a set is cut into pieces of as many rows as the
    next batches want of it, and batches are put together from pieces. Labels and weights
    travel stacked, a few tensors instead of two for each task.
    """
    order, lengths = _find_runs(cycle, batch_size)
    groups = _group_tasks(layout)
    runs = []
    for index, (name, dataset) in enumerate(datasets.items()):
        pack = _pack(groups, make_filler(name, layout, tasks))
        chunks = _map(dataset.batch(_chunk_size(layout)), pack)
        runs.append(chunks.rebatch(lengths.get(index, [1])))
    # Several batches are finished at once, for the same reason as examples are completed in chunks.
    together = max(1, min(_BATCHES, _CHUNK_BYTES // (max(layout.bytes, 1) * batch_size)))
    shuffle = _shuffle_rows(_rank_rows(batch_size, together, seed))
    unpack = _unpack(groups, [task.name for task in tasks])
    gathered = draw(runs, order).rebatch(batch_size * together)
    finished = _map(gathered, lambda *packed: unpack(*shuffle(*packed)))
    if together > 1 or drop_remainder:
        finished = finished.rebatch(batch_size, drop_remainder=drop_remainder)
    return finished


def draw(datasets: Sequence[tf.data.Dataset], cycle: SetIndices) -> tf.data.Dataset:
    """Draws until every dataset has ended; one that has ended is passed over."""
    # Of unknown cardinality, which the caller states (docs/keras_notes.md, pain 52).
    order = tf.data.Dataset.from_tensor_slices(cycle).repeat()
    return tf.data.Dataset.choose_from_datasets(datasets, order, stop_on_empty_dataset=False)


def _map(dataset: tf.data.Dataset, function: Callable[..., Any], **options: Any) -> tf.data.Dataset:
    """Maps without rewriting the function's Python, which is not needed and takes long."""
    # docs/keras_notes.md, pain 83
    return dataset.map(tf.autograph.experimental.do_not_convert(function), **options)


def _find_runs(
    cycle: SetIndices, batch_size: int
) -> tuple[SetIndices, dict[int, npt.NDArray[np.int64]]]:
    """Finds the runs of a cycle of draws: the rows that one set contributes to one batch.

    Returns:
        The set of each run, and for each set the lengths of its runs.
    """
    num_sets = int(cycle.max()) + 1
    batches = np.arange(len(cycle)) // batch_size
    # The keys number the pairs of batch and set; np.unique sorts them, by batch and then by set.
    keys, lengths = np.unique(batches * num_sets + cycle, return_counts=True)
    order = keys % num_sets
    return order, {int(index): lengths[order == index] for index in np.unique(order)}


def _chunk_size(layout: Layout) -> int:
    """Returns how many examples to complete at once; those of unknown shape do not stack."""
    if not layout.fixed:
        return 1
    return max(1, min(_CHUNK, _CHUNK_BYTES // max(layout.bytes, 1)))


def _group_tasks(layout: Layout) -> list[list[str]]:
    """Groups the tasks whose labels have one shape and dtype, and can be stacked."""
    groups: dict[Any, list[str]] = {}
    for name, spec in layout.labels.items():
        groups.setdefault((spec.dtype, tuple(spec.shape)), []).append(name)
    return list(groups.values())


def _pack(groups: Sequence[Sequence[str]], fill: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that completes a batch, and stacks labels and weights by group."""

    def pack(*element: Any) -> Any:
        x, y, w = fill(*element)
        labels, weights = (
            tuple(tf.stack([entries[name] for name in names], 1) for names in groups)
            for entries in (y, w)
        )
        return x, labels, weights  # stacks (rows, tasks of the group, ...)

    return pack


def _rank_rows(batch_size: int, batches: int, seed: int) -> npt.NDArray[np.int64]:
    """Returns a rank for each row of some batches: random within a batch, lower in later ones."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(batch_size) - i * batch_size for i in range(batches)])


def _shuffle_rows(ranks: npt.NDArray[np.int64]) -> Callable[..., Any]:
    """Returns a function that shuffles the rows of each batch, so that replicas get all sets."""

    def shuffle(x: Any, *stacks: Any) -> Any:
        rows = tf.shape(tf.nest.flatten(x)[0])[0]  # fewer than there are ranks, at the end
        ordered = tf.constant(ranks, tf.int32)[:rows]
        positions = tf.math.top_k(ordered, rows).indices  # the highest rank first
        return tf.nest.map_structure(lambda values: tf.gather(values, positions), (x, *stacks))

    return shuffle


def _unpack(groups: Sequence[Sequence[str]], tasks: Sequence[str]) -> Callable[..., Any]:
    """Returns a function that turns the stacks of `_pack` into dicts, in the order of the tasks."""

    def unpack(x: Any, *stacks: Any) -> Any:
        dicts = []
        for stack in stacks:
            by_task: dict[str, Any] = {}
            for names, stacked in zip(groups, stack, strict=True):
                by_task.update(zip(names, tf.unstack(stacked, len(names), 1), strict=True))
            dicts.append({name: by_task[name] for name in tasks})
        return x, *dicts

    return unpack
