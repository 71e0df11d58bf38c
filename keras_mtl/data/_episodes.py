"""Episodes: a few labels to adapt on and some to judge by, from one of many sources."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.data._elements._numbers import read_whole


def episodes(
    sources: Sequence[Any],
    *,
    shots: int,
    queries: int,
    episodes: int,
    ways: int | None = None,
    task: str | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Draws episodes for `training.MetaModel`: support and query of sources that are alike.

    Two forms:

        sources of rows      each source is (x, y) or (x, y, w), such as the rows of one site; an
                             episode is one source, with `shots` rows to adapt on and `queries`
                             others to judge by
        sources of a class   with ways=n, each source is the inputs of one class; an episode is n
                             classes, with `shots` and `queries` rows of each, and their labels
                             0 to n - 1 in a random order are those of `task`

    Choose other sources for training than for testing: of persons, shops or classes that the
    network was trained on, a test says nothing of new ones. Support and query of an episode have
    no row in common.

    Args:
        sources: The sources, as arrays in memory; inputs are an array, or a dict of some.
        shots: How many rows of a source (with `ways`: of a class) stand in the support.
        queries: How many stand in the query.
        episodes: How many episodes an element has.
        ways: How many classes an episode has. Defaults to `None`: sources of rows.
        task: With `ways`, the name of the task.
        seed: Seed of the draws. Each iteration over the dataset draws the same.

    Returns:
        An endless dataset of `(x, y)` or `(x, y, w)`, each a dict of "support" and "query" whose
        arrays are `[episodes, rows, ...]`. Use `take(n)` for a test.

    Raises:
        ValueError: If a number does not fit, a source has fewer rows than an episode takes, or
            sources are of different forms.

    Example:
        >>> import numpy as np
        >>> characters = [np.full((20, 4), c, "float32") for c in range(7)]
        >>> dataset = episodes(
        ...     characters, shots=1, queries=3, episodes=2, ways=5, task="character"
        ... )
        >>> x, y = next(iter(dataset))
        >>> x["support"].shape, y["query"]["character"].shape
        (TensorShape([2, 5, 4]), TensorShape([2, 15]))
    """
    shots, queries = read_whole(shots, "shots is"), read_whole(queries, "queries is")
    episodes, sources = read_whole(episodes, "episodes is"), list(sources)
    if (ways is None) != (task is None):
        raise ValueError(f"ways and task belong together; received ways={ways}, task={task!r}.")
    _check_sources(sources, shots + queries, ways)
    draw: Callable[[np.random.Generator], Any]
    if ways is None:

        def draw(rng: np.random.Generator) -> Any:
            return _of_rows(sources[rng.integers(len(sources))], shots, queries, rng)

    else:

        def draw(rng: np.random.Generator) -> Any:
            return _of_classes(sources, shots, queries, (ways, str(task)), rng)

    def generate() -> Iterator[Any]:
        rng = np.random.default_rng(seed)
        while True:
            drawn = [draw(rng) for _ in range(episodes)]
            yield keras.tree.map_structure(lambda *arrays: np.stack(arrays), *drawn)

    example = next(generate())
    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec(array.shape, tf.as_dtype(array.dtype)), example
    )
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(2)


def _of_rows(source: Any, shots: int, queries: int, rng: np.random.Generator) -> Any:
    """Returns inputs, labels and, if there are some, weights of an episode of one source."""
    rows = rng.permutation(_num_rows(source))[: shots + queries]
    return tuple(
        {"support": _taken(part, rows[:shots]), "query": _taken(part, rows[shots:])}
        for part in source
    )


def _of_classes(
    sources: Sequence[Any],
    shots: int,
    queries: int,
    labels: tuple[int, str],
    rng: np.random.Generator,
) -> Any:
    """Returns inputs and labels of an episode of several classes."""
    ways, task = labels
    parts: dict[str, list[Any]] = {"support": [], "query": []}
    for position in rng.permutation(len(sources))[:ways]:
        rows = rng.permutation(_num_rows(sources[position]))
        parts["support"].append(_taken(sources[position], rows[:shots]))
        parts["query"].append(_taken(sources[position], rows[shots : shots + queries]))
    x = {
        name: keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *rows)
        for name, rows in parts.items()
    }
    sizes = {"support": shots, "query": queries}
    return x, {part: {task: np.repeat(np.arange(ways), size)} for part, size in sizes.items()}


def _taken(arrays: Any, rows: Any) -> Any:
    return keras.tree.map_structure(lambda array: np.asarray(array)[rows], arrays)


def _num_rows(arrays: Any) -> int:
    return len(keras.tree.flatten(arrays)[0])


def _check_sources(sources: list[Any], least: int, ways: int | None) -> None:
    """Checks that sources have one form, and rows enough."""
    needed = 1 if ways is None else read_whole(ways, "ways is", low=2)
    if len(sources) < needed:
        raise ValueError(f"an episode takes {needed} source(s); received {len(sources)}.")
    for number, source in enumerate(sources):
        if ways is None and not (isinstance(source, tuple) and len(source) in (2, 3)):
            raise ValueError(
                f"source {number} must be (x, y) or (x, y, w); received {type(source).__name__}. "
                "For sources that are classes, pass ways=... and task=..."
            )
        lengths = sorted({len(array) for array in keras.tree.flatten(source)})
        if len(lengths) != 1 or lengths[0] < least:
            raise ValueError(
                f"source {number} has arrays of {lengths} rows; an episode takes {least} of each: "
                "shots and queries."
            )
        if keras.tree.map_structure(lambda _: 0, source) != keras.tree.map_structure(
            lambda _: 0, sources[0]
        ):
            raise ValueError(f"source {number} has another form than source 0.")
