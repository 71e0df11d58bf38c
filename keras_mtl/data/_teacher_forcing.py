"""Tokens that a decoder reads, and the tokens that it has to predict."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks


def teacher_forcing(
    dataset: tf.data.Dataset,
    task: Task,
    *,
    tokens: str = "tokens",
    start: int = 1,
    padding: int = 0,
) -> tf.data.Dataset:
    """Makes inputs and labels of sequences of tokens, for a task that predicts the next one.

    With the tokens t_1 ... t_n, the network reads start, t_1, ..., t_(n-1), and the labels are
    t_1, ..., t_n, so that each position has to predict the token that follows those it has seen.
    Padding becomes the label -1, which `data.mask_missing` gives the weight 0: call that next.

    Choose it for `Task.generation`. A sequence that has to end takes an end token in the data.

    Args:
        dataset: Yields `(x, y)` or `(x, y, w)`, single examples or batches; `x` is a dict, and
            `x[tokens]` holds integers `(..., time)`, padded at the end.
        task: The task; the dataset must not have labels of it.
        tokens: The input with the tokens. Defaults to `"tokens"`.
        start: The token that stands before the first one. Defaults to `1`.
        padding: The token that stands for no token. Defaults to `0`.

    Returns:
        A dataset with the tokens moved by one position, and with labels of the task; of the same
        cardinality.

    Raises:
        TypeError: If `x` or `y` is no dict.
        ValueError: If there is no input of this name, its tokens are no integers, there are labels
            of the task already, or `start` is no token of the task or is the padding.

    Example:
        >>> task = Task.generation("caption", 10)
        >>> x = {"tokens": [[5, 7, 9, 0]]}
        >>> dataset = tf.data.Dataset.from_tensor_slices((x, {"click": [1.0]})).batch(1)
        >>> x, y = next(iter(teacher_forcing(dataset, task)))
        >>> x["tokens"].numpy().tolist(), y["caption"].numpy().tolist()
        ([[1, 5, 7, 9]], [[5, 7, 9, -1]])
    """
    (task,) = check_tasks([task])
    _check(dataset, task, tokens)
    high = None if task.labels is None else task.labels.high
    if start == padding or start < 0 or (high is not None and start > high):
        raise ValueError(
            f"task {task.name!r}: start is a token of its vocabulary, and not the padding "
            f"{padding}; received {start}."
        )

    def shift(x: Mapping[str, Any], y: Mapping[str, Any], *weights: Any) -> Any:
        sequence = tf.convert_to_tensor(x[tokens])
        first = tf.fill(tf.shape(sequence[..., :1]), tf.cast(start, sequence.dtype))
        shifted = tf.concat([first, sequence[..., :-1]], axis=-1)
        shifted.set_shape(sequence.shape)
        labels = tf.cast(sequence, tf.int64)
        labels = tf.where(sequence == padding, tf.constant(-1, tf.int64), labels)
        return ({**x, tokens: shifted}, {**y, task.name: labels}, *weights)

    return dataset.map(shift, num_parallel_calls=tf.data.AUTOTUNE)


def _check(dataset: tf.data.Dataset, task: Task, tokens: str) -> None:
    """Checks the structure of the dataset."""
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise TypeError(f"expected a dataset of (x, y) or (x, y, w); received {spec}.")
    x, y = spec[:2]
    if not isinstance(x, Mapping) or not isinstance(y, Mapping):
        raise TypeError(f"inputs and labels must be dicts; received {type(x)} and {type(y)}.")
    if tokens not in x:
        raise ValueError(
            f"task {task.name!r}: there is no input {tokens!r}; there are {sorted(x)}. Name the "
            "one with the tokens: tokens=..."
        )
    if not x[tokens].dtype.is_integer:
        raise ValueError(
            f"task {task.name!r}: the input {tokens!r} holds {x[tokens].dtype.name}; expected "
            "integers, the numbers of tokens."
        )
    if task.name in y:
        raise ValueError(
            f"task {task.name!r}: the dataset has labels of it already, {y[task.name]}; they are "
            "made of the tokens here."
        )
