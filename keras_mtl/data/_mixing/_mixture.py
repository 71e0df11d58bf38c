"""Many sets in one stream, where an example has the labels of some tasks only."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._numbers import read_whole
from keras_mtl.data._mixing._draw import draw_batches, draw_elements
from keras_mtl.data._mixing._layout import Layout, join_layouts, read_layout
from keras_mtl.data._mixing._order import (
    Sampling,
    SetIndices,
    Sizes,
    draw_cycle,
    draw_schedule,
    first_end,
    known_sizes,
    last_end,
)
from keras_mtl.data._mixing._samplings import Annealed

Until: TypeAlias = Literal["once", "first", "last"] | int | None


def mixture(
    datasets: Mapping[str, tf.data.Dataset],
    tasks: Sequence[Task],
    *,
    sampling: Sampling = "proportional",
    until: Until = "last",
    batch_size: int | None = None,
    drop_remainder: bool = False,
    seed: int = 0,
) -> tf.data.Dataset:
    """Mixes data sets that have labels of different tasks into one stream of `(x, y, w)`.

    Every element has a label and a weight for every task; where its set has no label of a
    task, both are 0, and so are the task's loss and gradient. Everything runs in the graph of
    `tf.data`; the stream is the same for the same seed, and a saved iterator
    (`tf.train.Checkpoint(iterator=...)`) goes on with the very next example.

    Sets of single examples and a `batch_size` give batches of mixed tasks. This is the fast way,
    since absent labels and inputs are filled in for many examples at once. Sets that are batched
    already give one batch of one set at a time; `sampling="round_robin"` then alternates between
    them, a step for each. Sets of single examples without a `batch_size` give single examples.

    Shuffle each set before (with a seed, for several workers): a mixture takes the examples of
    a set in their order. Sets whose inputs differ yield dicts of inputs; an input that a set lacks
    is zero there too, and `data.Branch` keeps it from the part of the network that would read it.

    Args:
        datasets: By name, sets of `(x, y)` or `(x, y, w)`. `y` is a dict with the labels of at
            least one task, `w` has weights for some of them.
        tasks: All tasks; each is labeled in one set at least.
        sampling: How often each set is drawn:
            `"proportional"`: by its number of examples (of batches, for batched sets); in an
            epoch each example comes once. `"uniform"`: all alike. `"round_robin"`: in turns.
            A dict of a rate for each set; they sum to 1. `data.Temperature(T, cap)`: by
            min(n, cap)^(1/T). `data.Annealed(epochs)`: less and less by size, or any function
            from the step, 0, 1, ..., to such a dict; both need the number of steps as `until`.
        until: Where an epoch ends. `"last"`: as soon as each set has come to its end, those
            that end sooner starting over. `"first"`: before a set would start over. `"once"`:
            when each example has come once; sets that have ended are drawn no more. A number:
            after so many elements of the mixture (steps). `None`: never; pass
            `steps_per_epoch` to `fit`.
        batch_size: Examples per batch. With it, `"last"` goes on to a whole batch and `"first"`
            leaves out the examples that do not fill one. Defaults to the sets' own batches, or
            single examples.
        drop_remainder: Whether to leave out a last batch that is not full, for training on
            several replicas.
        seed: Seed of the order of the sets, which is the same in each epoch.

    Returns:
        A `tf.data.Dataset` of `(x, y, w)` of known (or infinite) cardinality. Each worker of a
        `MultiWorkerMirroredStrategy` reads all of it and takes its share of the elements.

    Raises:
        TypeError: If a set does not yield `(x, y)` or `(x, y, w)` with dicts by task.
        ValueError: If sets clash or are empty, a task has no label in any of them, rates do not
            fit the sets, or the size of a set is needed and unknown. While the stream is read,
            a label out of the task's range raises `tf.errors.InvalidArgumentError`. The
            messages name the set and the task.

    Example:
        >>> from keras_mtl import Task
        >>> reviews = tf.data.Dataset.from_tensor_slices(([[1.0], [2.0]], {"positive": [0, 1]}))
        >>> news = tf.data.Dataset.from_tensor_slices(([[3.0]], {"topic": [3]}))
        >>> tasks = [Task.binary("positive"), Task.multiclass("topic", 4)]
        >>> stream = mixture({"reviews": reviews, "news": news}, tasks, batch_size=3)
        >>> x, y, w = next(iter(stream))
        >>> order = x.numpy()[:, 0].argsort()
        >>> y["positive"].numpy()[order].tolist(), w["positive"].numpy()[order].tolist()
        ([0, 1, 0], [1.0, 1.0, 0.0])
        >>> y["topic"].numpy()[order].tolist(), w["topic"].numpy()[order].tolist()
        ([0, 0, 3], [0.0, 0.0, 1.0])
    """
    tasks = check_tasks(tasks)
    _check_sets(datasets)
    if batch_size is not None:
        subject = "batch_size must be a whole number >= 1; received"
        batch_size = read_whole(batch_size, subject)
    if until is not None and not isinstance(until, str):
        until = read_whole(until, "until is")
    layouts = {name: read_layout(name, dataset, tasks) for name, dataset in datasets.items()}
    layout = join_layouts(layouts, tasks)
    _check_batching(layout, batch_size)
    sizes = {name: _find_size(name, dataset) for name, dataset in datasets.items()}
    if until == "last" and sampling == "proportional":
        until = "once"  # drawn by size, all sets end together, and none starts over
    if until != "once":
        datasets = {name: dataset.repeat() for name, dataset in datasets.items()}
    cycle = _order_sets(sampling, sizes, until, batch_size or int(layout.batched), seed)
    elements = _count_elements(cycle, sizes, until, batch_size, drop_remainder)
    if batch_size is None:
        mixed = draw_elements(datasets, layout, tasks, cycle)
    else:
        mixed = draw_batches(
            datasets, layout, tasks, cycle, batch_size, drop_remainder=drop_remainder, seed=seed
        )
    if until != "once":
        mixed = mixed.take(elements)
    # A draw from several sets has an unknown number of elements (docs/keras_notes.md, F1 and
    # pain 52).
    mixed = mixed.apply(tf.data.experimental.assert_cardinality(elements))
    # By examples: with files as shards, the files of a worker would decide which sets it sees.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return mixed.with_options(options)


def _check_sets(datasets: Any) -> None:
    if not isinstance(datasets, Mapping):
        raise TypeError(
            f"datasets must be a dict from a set's name to its tf.data.Dataset; it is a "
            f"{type(datasets).__name__}."
        )
    if not datasets:
        raise ValueError("datasets is empty; expected at least one set.")


def _check_batching(layout: Layout, batch_size: int | None) -> None:
    if batch_size is None:
        return
    if layout.batched:
        raise ValueError(
            f"batch_size={batch_size} makes batches of single examples, and the sets yield "
            "batches. Take away their .batch(), or take away batch_size for one set at a time."
        )
    if not layout.fixed:
        raise ValueError(
            "batch_size needs examples of one fixed shape; received inputs "
            f"{layout.inputs} and labels {layout.labels}. Pad them, or leave batch_size out and "
            "use .padded_batch() on the mixture."
        )


def _find_size(name: str, dataset: tf.data.Dataset) -> int | None:
    """Returns the number of a set's elements; `None` where it is unknown or infinite."""
    size = int(dataset.cardinality())
    if size == 0:
        raise ValueError(f"set {name!r} is empty; leave it out of the mixture.")
    return size if size > 0 else None


def _order_sets(
    sampling: Sampling, sizes: Sizes, until: Until, draws_per_step: int, seed: int
) -> SetIndices:
    """Returns the set of each draw; `draws_per_step` is 0 if the mixture does not batch."""
    if not (isinstance(sampling, Annealed) or callable(sampling)):
        return draw_cycle(sampling, sizes, max(draws_per_step, 1), seed)
    if not isinstance(until, int) or not draws_per_step:
        raise ValueError(
            "a sampling that changes counts the steps of training: pass their number as until, "
            "and a batch_size, or sets that are batched."
        )
    return draw_schedule(sampling, sizes, until, draws_per_step, seed).ravel()


def _count_elements(
    cycle: SetIndices, sizes: Sizes, until: Until, batch_size: int | None, drop_remainder: bool
) -> int:
    """Returns the number of elements of the mixture: of batches, or of single draws."""
    if until is None:
        return int(tf.data.INFINITE_CARDINALITY)
    if isinstance(until, int):
        return until
    size = batch_size or 1
    if until == "once":
        draws = sum(known_sizes(sizes))
        elements = draws // size if drop_remainder else -(-draws // size)  # rounded up
    elif until == "first":
        draws = first_end(cycle, sizes)
        elements = draws // size
    elif until == "last":
        draws = last_end(cycle, sizes)
        elements = -(-draws // size)
    else:
        raise ValueError(
            f"until is {until!r}; expected 'last', 'first', 'once', a number of elements > 0, or "
            "None."
        )
    if not elements:
        raise ValueError(f"{draws} example(s) make no batch of {size}; lower batch_size.")
    return elements
