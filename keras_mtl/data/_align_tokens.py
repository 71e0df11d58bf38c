"""Labels of words, aligned with the tokens that a network makes of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import read_element

Tokenizer = Callable[[tf.Tensor], tf.RaggedTensor]


def align_tokens(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    length: int,
    tokenizer: Tokenizer | None = None,
    first: int = 0,
) -> tf.data.Dataset:
    """Joins words to sentences, and moves the labels of words to the positions of their tokens.

    The network takes whole sentences and splits them itself, so each label must be at the position
    where the network puts its word. With `text_encoder` that is one position per word. With a
    tokenizer that breaks words into pieces, the first piece of each word has the label and the
    other pieces have none.

    Args:
        dataset: Yields single sentences `(words, y)` or `(words, y, w)`, where `words` is
            `(words,)` strings. Tasks with one label per word have labels `(words,)`.
        tasks: The tasks; those with one label per sentence are left as they are.
        length: Tokens per sentence: longer sentences are cut, shorter ones padded.
        tokenizer: Maps words `(words,)` to pieces, a ragged tensor `(words, pieces)`; a tokenizer
            of KerasHub does. It must break a word alone as it does in a sentence. Defaults to one
            token per word.
        first: The number of tokens that the network puts before the first word (`[CLS]`). Defaults
            to none.

    Returns:
        A dataset of `(sentence, y, w)` of the same cardinality. The sentence is a string scalar:
        the words joined by blanks, with white space inside a word replaced by `_`. Labels and
        weights are `(length,)`; padding and further pieces have weight 0.

    Raises:
        TypeError: If inputs are not words.
        ValueError: If a task has no label.

    Example:
        >>> pair = ["play", "Brahms"], {"slots": [0, 3], "intent": 1}
        >>> sentences = tf.data.Dataset.from_tensors(pair)
        >>> tasks = [Task.tagging("slots", 4), Task.binary("intent")]
        >>> text, y, w = next(iter(align_tokens(sentences, tasks, length=3)))
        >>> text.numpy(), y["slots"].numpy().tolist(), w["slots"].numpy().tolist()
        (b'play Brahms', [0, 3, 0], [1.0, 1.0, 0.0])
    """
    tasks = check_tasks(tasks)
    element = read_element(dataset, tasks)
    words = element.inputs
    if not isinstance(words, tf.TensorSpec) or words.dtype != tf.string or words.shape.rank != 1:
        raise TypeError(
            f"expected the words of one sentence as inputs, strings of shape (words,); received "
            f"{words}. Split sentences with tf.strings.split, and use this before .batch()."
        )
    tagged = {task.name for task in tasks if element.labels[task.name].shape.rank == 1}

    def align(words: tf.Tensor, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        # A blank inside a word, or an empty word, would change the number of words.
        words = tf.strings.regex_replace(words, r"^$|\s+", "_")
        positions = _first_tokens(words, tokenizer, first)
        y, w = dict(y), dict(w or {})
        for task in tasks:
            name = task.name
            weight = w.get(name, tf.ones((), tf.float32))
            if name in tagged:
                weight = tf.broadcast_to(tf.cast(weight, tf.float32), tf.shape(y[name]))
                y[name] = _scatter(y[name], positions, length)
            w[name] = _scatter(weight, positions, length) if name in tagged else weight
        return tf.strings.reduce_join(words, separator=" "), y, w

    return dataset.map(align)


def _first_tokens(words: tf.Tensor, tokenizer: Tokenizer | None, first: int) -> tf.Tensor:
    """Returns the position of the first token of each word, `(words,)`."""
    if tokenizer is None:
        return first + tf.range(tf.size(words))
    pieces = tf.cast(tokenizer(words).row_lengths(), tf.int32)
    return first + tf.cumsum(pieces, exclusive=True)


def _scatter(values: tf.Tensor, positions: tf.Tensor, length: int) -> tf.Tensor:
    """Returns `(length,)` numbers: the values at those positions that are below it, and else 0."""
    values = tf.convert_to_tensor(values)
    within = positions < length
    scattered = tf.scatter_nd(positions[within][:, tf.newaxis], values[within], [length])
    return tf.ensure_shape(scattered, (length,))
