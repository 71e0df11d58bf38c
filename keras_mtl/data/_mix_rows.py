"""Mixtures of two rows, with the labels of both."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._changes._check import (
    changed_input,
    check_batched,
    label_weights,
    named_input,
)
from keras_mtl.data._changes._seeds import map_with_seeds
from keras_mtl.data._elements._element import read_element
from keras_mtl.data._elements._numbers import read_number


def mix_rows(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    alpha: float = 0.2,
    key: str | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Mixes each row with another row of the batch, and keeps what is missing of each task.

    With another row j of the batch and a share l from Beta(alpha, alpha), of each row i by itself:

        x_i <- l x_i + (1 - l) x_j,   with the label y_i and the weight l w_i,
                                       and behind it the label y_j and the weight (1 - l) w_j

    Each mixed row stands twice in the batch, with the labels of the one and of the other row, so
    that any loss of one label per row is exactly the mixed loss l L(y_i) + (1 - l) L(y_j), classes
    keep their numbers, and a label that is missing in one of the two rows counts nothing, whatever
    the other tasks have. (Mixed labels l y_i + (1 - l) y_j would need both.)

    Choose it for tables of numbers and images, with few labels and large networks. Not for whole
    numbers that stand for categories or words, which have no mixture, and not for labels that say
    where something is. A step costs twice as much.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`, with missing labels masked
            (`data.mask_missing`).
        tasks: The tasks; their losses must take weights for single rows.
        alpha: The parameter of the shares, above 0: near 0, rows are hardly mixed; 1 is uniform.
            Defaults to `0.2`.
        key: The input that is mixed, where inputs are a dict; the others stay those of row i.
            Defaults to `None`: the only one, or all inputs of a dict, which are real numbers then.
        seed: The seed of the draws, which are other ones in each epoch. Defaults to `0`.

    Returns:
        A dataset of `(x, y, w)` with twice as many rows per batch, of the same cardinality.

    Raises:
        TypeError: If an input that is mixed is no batch of real numbers.
        ValueError: If alpha is not positive, rows are not batched, or a loss reads several rows
            together, which cannot have weights of their own.

    Example:
        >>> x, y = tf.constant([[0.0], [1.0]]), {"spam": [0.0, 1.0]}
        >>> dataset = tf.data.Dataset.from_tensors((x, y))
        >>> x, y, w = next(iter(mix_rows(dataset, [Task.binary("spam")])))
        >>> x.shape, (w["spam"][:2] + w["spam"][2:]).numpy().tolist()
        (TensorShape([4, 1]), [1.0, 1.0])

    Reference:
        Zhang et al. 2018 (mixup), arXiv:1710.09412, which draws one share per batch; popular code
        mixes one-hot labels, and with them the zeros that stand for missing ones.
    """
    tasks = check_tasks(tasks)
    alpha = read_number(alpha, "mix_rows: alpha is", low=0, above=True)
    together = [t.name for t in tasks if t.reading is not None and t.reading.reads == "batch"]
    if together:
        raise ValueError(
            f"mix_rows: the loss of task {together[0]!r} reads the rows of a batch together, and "
            "mixed rows have weights of their own. Leave the task out of the dataset."
        )
    element = read_element(dataset, tasks)
    check_batched(element, "mix_rows")
    specs = element.inputs if key is None else named_input(element.inputs, key, "mix_rows")
    for spec in tf.nest.flatten(specs):
        if not isinstance(spec, tf.TensorSpec) or not spec.dtype.is_floating or not spec.shape.rank:
            raise TypeError(
                f"mix_rows needs batches of real numbers; received {spec}. Encode categories "
                "before, or name the input to mix by key."
            )

    def change(element: Any, draw: tf.Tensor) -> Any:
        x, y, w = (*element, None)[:3]
        before = x if key is None else named_input(x, key, "mix_rows")
        rows = tf.shape(tf.nest.flatten(before)[0])[0]
        partners = tf.argsort(tf.random.stateless_uniform([rows], draw))
        share = _shares(rows, alpha, draw)
        mixed = tf.nest.map_structure(lambda values: _mixed(values, partners, share), before)
        inputs = changed_input(x, key, mixed)
        weights = label_weights(y, w, tasks)
        return (
            tf.nest.map_structure(lambda values: tf.concat([values, values], 0), inputs),
            {name: _both(label, partners) for name, label in y.items()},
            _weights_of_both(weights, partners, share),
        )

    return map_with_seeds(dataset, change, seed)


def _shares(rows: tf.Tensor, alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws from Beta(alpha, alpha), `[rows]`."""
    one, other = (tf.random.stateless_gamma([rows], seed + i, alpha) for i in (1, 2))
    # For a small alpha both may be too small for float32.
    return tf.where(one + other > 0, one / tf.maximum(one + other, 1e-37), 1.0)


def _mixed(values: tf.Tensor, partners: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    share = tf.reshape(tf.cast(share, values.dtype), [-1] + [1] * (values.shape.rank - 1))
    return share * values + (1 - share) * tf.gather(values, partners)


def _both(label: tf.Tensor, partners: tf.Tensor) -> tf.Tensor:
    return tf.concat([label, tf.gather(label, partners)], 0)


def _weights_of_both(
    weights: Mapping[str, tf.Tensor], partners: tf.Tensor, share: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns the weights of the labels of both rows, times their shares."""
    result = {}
    for name, weight in weights.items():
        factor = tf.reshape(share, [-1] + [1] * (weight.shape.rank - 1))
        other = tf.gather(weight, partners)
        result[name] = tf.concat([factor * weight, (1 - factor) * other], 0)
    return result
