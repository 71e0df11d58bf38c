"""Draws from data sets in a given order: elements as they are, or the rows of mixed batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data._mixing._layout import Layout, filler
from keras_mtl.data._mixing._order import Ids

_CHUNK = 512  # examples that are filled in at once: calling a function costs more than its work
_CHUNK_BYTES = 2**22
_BATCHES = 8  # the most that are finished at once


def choose_elements(
    datasets: Mapping[str, tf.data.Dataset], layout: Layout, tasks: Sequence[Task], cycle: Ids
) -> tf.data.Dataset:
    """Elements as the sets yield them, in the order of a cycle of draws."""
    fills = {name: filler(name, layout, tasks) for name in datasets}
    if not layout.batched:
        chunks = {name: dataset.batch(_chunk(layout)) for name, dataset in datasets.items()}
        return choose([_map(each, fills[name]).unbatch() for name, each in chunks.items()], cycle)
    if not layout.fixed:  # labels of several lengths do not stack
        return choose([_map(each, fills[name]) for name, each in datasets.items()], cycle)
    groups = _group(layout)
    packed = [_map(each, _pack(groups, fills[name])) for name, each in datasets.items()]
    unpack = _unpack(groups, [task.name for task in tasks])
    return _map(choose(packed, cycle), unpack, num_parallel_calls=tf.data.AUTOTUNE)


def choose_batches(
    datasets: Mapping[str, tf.data.Dataset],
    layout: Layout,
    tasks: Sequence[Task],
    cycle: Ids,
    batch_size: int,
    *,
    drop_remainder: bool,
    seed: int,
) -> tf.data.Dataset:
    """Batches of examples of all sets, as many of each as a cycle of draws has in a batch.

    Rows are moved in runs, not one by one: a set is cut into pieces of as many rows as the
    next batches want of it, and batches are put together from pieces. Labels and weights
    travel stacked, a few tensors instead of two for each task.
    """
    order, lengths = _runs(cycle, batch_size)
    groups = _group(layout)
    parts = []
    for place, (name, dataset) in enumerate(datasets.items()):
        pack = _pack(groups, filler(name, layout, tasks))
        chunks = _map(dataset.batch(_chunk(layout)), pack)
        parts.append(chunks.rebatch(lengths.get(place, [1])))
    # Several batches are finished at once, for the same reason as examples are filled in so.
    together = max(1, min(_BATCHES, _CHUNK_BYTES // (max(layout.bytes, 1) * batch_size)))
    strew = _strew(_strewn(batch_size, together, seed))
    unpack = _unpack(groups, [task.name for task in tasks])
    gathered = choose(parts, order).rebatch(batch_size * together)
    finished = _map(gathered, lambda *packed: unpack(*strew(*packed)))
    if together > 1 or drop_remainder:
        finished = finished.rebatch(batch_size, drop_remainder=drop_remainder)
    return finished


def _map(dataset: tf.data.Dataset, function: Callable[..., Any], **options: Any) -> tf.data.Dataset:
    """Without rewriting the function's Python, which it does not need and which takes long."""
    return dataset.map(tf.autograph.experimental.do_not_convert(function), **options)


def choose(parts: Sequence[tf.data.Dataset], cycle: Ids) -> tf.data.Dataset:
    """Draws until every part has ended; one that has ended is passed over."""
    order = tf.data.Dataset.from_tensor_slices(cycle).repeat()
    return tf.data.Dataset.choose_from_datasets(parts, order, stop_on_empty_dataset=False)


def _runs(cycle: Ids, batch_size: int) -> tuple[Ids, dict[int, Ids]]:
    """The draws of a cycle as runs of one set within a batch.

    Returns:
        The set of each run, and for each set the lengths of its runs.
    """
    sets = int(cycle.max()) + 1
    batches = np.arange(len(cycle)) // batch_size
    keys, lengths = np.unique(batches * sets + cycle, return_counts=True)
    order = keys % sets
    return order, {int(place): lengths[order == place] for place in np.unique(order)}


def _chunk(layout: Layout) -> int:
    """How many examples to fill in at once; those of unknown shape do not stack."""
    if not layout.fixed:
        return 1
    return max(1, min(_CHUNK, _CHUNK_BYTES // max(layout.bytes, 1)))


def _group(layout: Layout) -> list[list[str]]:
    """Tasks whose labels look alike, and stack."""
    groups: dict[Any, list[str]] = {}
    for name, spec in layout.labels.items():
        groups.setdefault((spec.dtype, tuple(spec.shape)), []).append(name)
    return list(groups.values())


def _pack(groups: Sequence[Sequence[str]], fill: Callable[..., Any]) -> Callable[..., Any]:
    """Fills in, and stacks what looks alike."""

    def pack(*element: Any) -> Any:
        x, y, w = fill(*element)
        stacked = [[tf.stack([each[n] for n in names], 1) for names in groups] for each in (y, w)]
        return x, tuple(stacked[0]), tuple(stacked[1])

    return pack


def _strewn(batch_size: int, batches: int, seed: int) -> Ids:
    """A rank for each row of some batches: the rows of a batch in random order, then the next."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(batch_size) - i * batch_size for i in range(batches)])


def _strew(ranks: Ids) -> Callable[..., Any]:
    """Strews the rows of each set over the batch, for replicas' sake."""

    def strew(x: Any, *stacks: Any) -> Any:
        rows = tf.shape(tf.nest.flatten(x)[0])[0]
        ordered = tf.constant(ranks, tf.int32)[:rows]
        places = tf.math.top_k(ordered, rows).indices  # the highest rank first
        return tf.nest.map_structure(lambda rows: tf.gather(rows, places), (x, *stacks))

    return strew


def _unpack(groups: Sequence[Sequence[str]], tasks: Sequence[str]) -> Callable[..., Any]:
    """Undoes `_pack`."""

    def unpack(x: Any, *stacks: Any) -> Any:
        parts = []
        for stack in stacks:
            named: dict[str, Any] = {}
            for names, stacked in zip(groups, stack, strict=True):
                named.update(zip(names, tf.unstack(stacked, len(names), 1), strict=True))
            parts.append({name: named[name] for name in tasks})
        return x, *parts

    return unpack
