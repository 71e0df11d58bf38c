"""Texts with masked tokens, and a task that predicts them."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data._changes._seeds import map_with_seeds
from keras_mtl.data._elements._numbers import read_number, read_whole
from keras_mtl.unlabeled._rows._append import append, input_of, masked, replace


def mask_tokens(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    name: str = "tokens",
    *,
    num_tokens: int,
    mask: int,
    rate: float = 0.15,
    on: str | None = None,
) -> tf.data.Dataset:
    """Appends texts with masked tokens, and labels that say which they were.

    Behind the rows of each batch stand the same texts, of whose tokens some are chosen: of these,
    80 % become the token `mask`, 10 % any other token, and 10 % stay as they are. They have labels
    of one more task alone, `Task.tagging(name, num_tokens)`: the tokens as they were, with weight 1
    where one was chosen. The other tasks see the first half only, as it is.

    Choose it with many texts and few labels, most of all to train first on it alone, and then on
    the tasks; with the vocabulary of thousands of a real text, the head of this task is large. Of
    texts for which a pretrained encoder exists, take that instead.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`; rows without any label (NaN) are welcome.
        tasks: The tasks that have labels in it.
        name: The name of the new task. Defaults to `"tokens"`.
        num_tokens: The number of tokens, from 0 (padding, which is never chosen) on.
        mask: The token that stands for a masked one, which must not mean anything else.
        rate: The probability of a token to be chosen; above 0, below 1. Defaults to `0.15`.
        on: The name of the texts, `[rows, tokens]`, where inputs are a dict. Defaults to `None`.

    Returns:
        A dataset of `(x, y, w)` with twice as many rows per batch; other draws in each epoch.

    Raises:
        ValueError: If the texts are no whole numbers (strings need `data.text_encoder` first), if
            `mask` is none of the tokens or 0, a task is called `name`, or the rate is out of range.

    Example:
        >>> tasks = [Task.binary("spam")]
        >>> x, y = tf.ones((6, 5), tf.int32), {"spam": [0.0, 1.0, float("nan")] * 2}
        >>> dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
        >>> x, y, w = next(iter(mask_tokens(dataset, tasks, num_tokens=9, mask=8)))
        >>> x.shape, y["tokens"].shape, float(w["tokens"][:3].numpy().max())
        (TensorShape([6, 5]), TensorShape([6, 5]), 0.0)

    Reference:
        Devlin et al. 2019 (BERT), arXiv:1810.04805.
    """
    rate = read_number(rate, "mask_tokens: rate is", low=0, high=1, above=True, below=True)
    num_tokens = read_whole(num_tokens, "mask_tokens: num_tokens is", low=3)
    mask = read_whole(mask, "mask_tokens: mask is", low=1)
    if mask >= num_tokens:
        raise ValueError(f"mask_tokens: mask is {mask}; expected a token below {num_tokens}.")
    rows = masked(dataset, tasks, name)
    texts = input_of(rows.element_spec[0], on, "mask_tokens")
    if texts.shape.rank != 2 or not texts.dtype.is_integer:
        raise ValueError(
            "mask_tokens needs a batch of texts as whole numbers, [rows, tokens]; received "
            f"{texts}. data.text_encoder makes them of strings."
        )

    def change(element: Any, draw: tf.Tensor) -> Any:
        tokens = input_of(element[0], on, "mask_tokens")
        changed, chosen = _masked(tokens, rate, num_tokens, mask, draw)
        weight = tf.concat([tf.zeros_like(chosen), chosen], 0)
        label = tf.concat([tokens, tokens], 0)
        inputs = replace(element[0], on, changed)
        return append(element, inputs, name, label, tf.cast(weight, tf.float32))

    return map_with_seeds(rows, change, 0)


def _masked(
    tokens: tf.Tensor, rate: float, num_tokens: int, mask: int, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns texts with masked tokens, and which tokens were chosen."""
    shape = tf.shape(tokens)
    choice = tf.random.stateless_uniform(shape, seed)
    chosen = (choice < rate) & (tokens != 0)
    fate = tf.random.stateless_uniform(shape, seed + 1)
    anything = tf.random.stateless_uniform(shape, seed + 2, 1, num_tokens, tf.int32)
    changed = tf.where(fate < 0.8, tf.cast(mask, tokens.dtype), tf.cast(anything, tokens.dtype))
    return tf.where(chosen & (fate < 0.9), changed, tokens), chosen
