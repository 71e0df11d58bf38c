"""Labels of words beside the tokens that a network makes of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import check_keys, split_element

Tokenizer = Callable[[tf.Tensor], tf.RaggedTensor]


def align_tokens(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    length: int,
    tokenizer: Tokenizer | None = None,
    first: int = 0,
) -> tf.data.Dataset:
    """Gives sentences as strings, and labels of their words at the places of their tokens.

    The network takes whole sentences and splits them itself, so labels must be where it puts
    the words: one place a word for `text_encoder`; with a tokenizer that breaks words in
    pieces, the first piece of each word has the label and the others have none.

    Args:
        dataset: Yields single sentences `(words, y)` or `(words, y, w)`, where `words` is
            `(words,)` strings; labels of the tasks that have one a word are `(words,)`.
        tasks: The tasks; those of one label a sentence are left as they are.
        length: Tokens a sentence: longer ones are cut, shorter ones padded.
        tokenizer: From words `(words,)` to pieces, a ragged tensor `(words, pieces)`, such as a
            tokenizer of KerasHub; it must break a word alone as it does in a sentence. Defaults
            to one token a word.
        first: How many tokens the network puts before the first word (`[CLS]`). Defaults to
            none.

    Returns:
        A dataset of `(sentence, y, w)` of the same cardinality: a string scalar, the words
        joined by blanks (white space within a word becomes `_`), and labels and weights
        `(length,)`, where padding and further pieces have no weight.

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
    words, labels, weights = split_element(dataset)
    check_keys(labels, tasks, "label", complete=True)
    check_keys(weights, tasks, "sample weight", complete=False)
    if not isinstance(words, tf.TensorSpec) or words.dtype != tf.string or words.shape.rank != 1:
        raise TypeError(
            f"expected the words of one sentence as inputs, strings of shape (words,); received "
            f"{words}. Split sentences with tf.strings.split, and use this before .batch()."
        )
    tagged = {task.name for task in tasks if labels[task.name].shape.rank == 1}

    def align(words: tf.Tensor, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        words = tf.strings.regex_replace(words, r"^$|\s+", "_")
        places = _places(words, tokenizer, first)
        y, w = dict(y), dict(w or {})
        for task in tasks:
            name = task.name
            given = w.get(name, tf.ones((), tf.float32))
            if name in tagged:
                given = tf.broadcast_to(tf.cast(given, tf.float32), tf.shape(y[name]))
                y[name] = _put(y[name], places, length)
            w[name] = _put(given, places, length) if name in tagged else given
        return tf.strings.reduce_join(words, separator=" "), y, w

    return dataset.map(align)


def _places(words: tf.Tensor, tokenizer: Tokenizer | None, first: int) -> tf.Tensor:
    """The place of the first token of each word."""
    if tokenizer is None:
        return first + tf.range(tf.size(words))
    pieces = tf.cast(tokenizer(words).row_lengths(), tf.int32)
    return first + tf.cumsum(pieces, exclusive=True)


def _put(values: tf.Tensor, places: tf.Tensor, length: int) -> tf.Tensor:
    """Values at their places, as far as they lie within the length, and 0 elsewhere."""
    values = tf.convert_to_tensor(values)
    within = places < length
    spread = tf.scatter_nd(places[within][:, tf.newaxis], values[within], [length])
    return tf.ensure_shape(spread, (length,))
