"""Random changes of texts, whose labels follow their words."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._changes._check import (
    changed_input,
    label_weights,
    named_input,
    tasks_of_words,
)
from keras_mtl.data._changes._seeds import map_with_seeds
from keras_mtl.data._changes._words import dropped, swapped
from keras_mtl.data._elements._element import read_element
from keras_mtl.data._elements._numbers import read_number

Rewrite = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def augment_texts(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    drop: float = 0.1,
    swap: float = 0.0,
    rewrite: Rewrite | None = None,
    key: str | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Changes texts at random: words are dropped or swapped, and labels of words follow them.

    Texts are rows of whole numbers, `(batch, words)`, with 0 for padding behind, or single strings,
    `(batch,)`, whose words are parted by spaces. Each word is dropped with probability `drop`, but
    one word always stays; then each pair of neighbors is swapped with probability `swap`. Labels
    of words (of `Task.tagging`) and their weights move with their words, and those of dropped words
    go; what is padding now has weight 0. Labels of whole texts stay as they are.

    `rewrite(texts, seed)` comes first: a function in TensorFlow that returns other texts of the
    same shape, such as those of a table of back-translations that you have made, or synonyms. It
    is refused beside tasks with labels of words, which could not follow.

    Choose it for training data only, after `.batch()`, with few labels and where a word more or
    less keeps the label. Do not choose it where one word decides ("not"), and do not swap words
    where their order is what is learned.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`, with missing labels masked.
        tasks: The tasks.
        drop: The probability of a word to be dropped, below 1. Defaults to `0.1`.
        swap: The probability of a word to change places with the next, below 1. Defaults to `0.0`.
        rewrite: Returns other texts, `(batch, words)` or `(batch,)`; its second argument is an
            int32 `[2]` for stateless draws. Defaults to `None`.
        key: The input that holds the texts, where inputs are a dict. Defaults to `None`.
        seed: The seed of the draws, which are other ones in each epoch. Defaults to `0`.

    Returns:
        A dataset of `(x, y, w)`, of the same cardinality.

    Raises:
        TypeError: If the input holds no texts.
        ValueError: If a probability is out of range; if strings have labels of words; if labels are
            ragged; or if texts are rewritten beside labels of words.

    Example:
        >>> tasks = [Task.tagging("part", 5)]
        >>> x, y = tf.constant([[7, 8, 9, 0]]), {"part": tf.constant([[1, 2, 3, 0]])}
        >>> dataset = tf.data.Dataset.from_tensors((x, y, {"part": [[1.0, 1.0, 1.0, 0.0]]}))
        >>> x, y, w = next(iter(augment_texts(dataset, tasks, drop=0.4, seed=1)))
        >>> bool(tf.reduce_all((x - 6) * tf.cast(x > 0, tf.int32) == y["part"]))
        True

    Reference:
        Wei and Zou 2019 (EDA), arXiv:1901.11196, whose swaps take any two words of a text.
    """
    tasks = check_tasks(tasks)
    drop = read_number(drop, "augment_texts: drop is", low=0, high=1, below=True)
    swap = read_number(swap, "augment_texts: swap is", low=0, high=1, below=True)
    element = read_element(dataset, tasks)
    spec = named_input(element.inputs, key, "augment_texts")
    by_word = tasks_of_words(element, tasks, "augment_texts")
    _check_texts(spec, by_word, rewrite)

    def change(element: Any, draw: tf.Tensor) -> Any:
        x, y, w = (*element, None)[:3]
        weights = label_weights(y, w, tasks)
        texts = named_input(x, key, "augment_texts")
        if rewrite is not None:
            texts = tf.ensure_shape(rewrite(texts, draw), texts.shape)
        if texts.dtype == tf.string:
            return changed_input(x, key, _of_strings(texts, drop, swap, draw)), dict(y), weights
        order, is_word = _moves(texts != 0, drop, swap, draw)
        labels = {**y, **{name: _take(y[name], order, is_word) for name in by_word}}
        weights |= {name: _take(weights[name], order, is_word) for name in by_word}
        return changed_input(x, key, _take(texts, order, is_word)), labels, weights

    return map_with_seeds(dataset, change, seed)


def _check_texts(spec: Any, by_word: Sequence[str], rewrite: Rewrite | None) -> None:
    """Checks that an input holds texts, and that labels of words can follow."""
    whole = isinstance(spec, tf.TensorSpec) and spec.dtype.is_integer and spec.shape.rank == 2
    strings = isinstance(spec, tf.TensorSpec) and spec.dtype == tf.string and spec.shape.rank == 1
    if not whole and not strings:
        raise TypeError(
            "augment_texts needs batches of texts: whole numbers (batch, words), or strings "
            f"(batch,); received {spec}. Batch the dataset, or give the key of the texts."
        )
    if by_word and (strings or rewrite is not None):
        change = "strings are split at spaces" if strings else "rewrite returns other words"
        raise ValueError(
            f"augment_texts: the labels of task {by_word[0]!r} belong to words, and {change}, so "
            "that they could not follow. Encode the texts before (data.align_tokens), without "
            "rewrite."
        )


def _moves(
    valid: tf.Tensor, drop: float, swap: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the positions of the words that stand in each place, and where there is a word."""
    order, is_word = dropped(valid, drop, seed)
    places = swapped(is_word, swap, seed + 1)
    return tf.gather(order, places, batch_dims=1), is_word


def _take(values: tf.Tensor, order: tf.Tensor, is_word: tf.Tensor) -> tf.Tensor:
    """Returns the values of words in their new places, and 0 for padding."""
    moved = tf.gather(values, order, batch_dims=1)
    is_word = tf.reshape(is_word, [*tf.unstack(tf.shape(is_word)), *[1] * (moved.shape.rank - 2)])
    return tf.ensure_shape(tf.where(is_word, moved, tf.zeros_like(moved)), values.shape)


def _of_strings(texts: tf.Tensor, drop: float, swap: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns strings with dropped and swapped words."""
    words = tf.strings.split(texts).to_tensor("")
    order, is_word = _moves(words != "", drop, swap, seed)
    moved = tf.where(is_word, tf.gather(words, order, batch_dims=1), "")
    joined = tf.strings.strip(tf.strings.reduce_join(moved, axis=1, separator=" "))
    return tf.ensure_shape(joined, texts.shape)
