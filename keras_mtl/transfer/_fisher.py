"""How much the predictions of a network depend on each entry of its variables."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.data._mask_missing import mask_missing

_EXACT = 32
"""Up to this number of outcomes per row and task, expectations are sums over all of them."""

_SCALE = 1024.0  # a power of 2, which changes no digit, so that half precision keeps small ones
_TINY = 1e-30


class Entries(NamedTuple):
    """Holds what the rows of a dataset say about the outputs of a task.

    Attributes:
        weight: The sum of the absolute weights of its labels; of each column, where it has some.
        variance: The mean squared error of a prediction, where it is a number; 1 otherwise.
    """

    weight: np.ndarray
    variance: np.ndarray


def fisher_information(
    network: keras.Model,
    variables: Sequence[Any],
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    seed: int,
) -> list[np.ndarray]:
    """Returns the diagonal of the Fisher information, for each of some variables.

        F_i = sum_k v_k mean over the labeled rows of task k of E[(d log p_k(y | x) / d t_i)^2]

    with v_k the weight of task k, and y drawn from what the network itself predicts: labels are
    read for which rows count, and for the spread of numbers.

    Args:
        network: The network, which is run in evaluation mode and not changed.
        variables: The variables.
        dataset: Batches of `(x, y)` or `(x, y, w)`.
        tasks: The tasks.
        seed: For draws, where a task has more than 32 outcomes per row.
    """
    masked = mask_missing(dataset, tasks)
    kinds = {task.name: _kind(task) for task in tasks}
    entries = _read(network, masked, tasks, kinds)
    sums = [tf.Variable(tf.zeros(v.shape, tf.float32), trainable=False) for v in variables]
    values = [tf.convert_to_tensor(v.value) for v in network.variables]
    positions = [_position(network, variable) for variable in variables]

    def add_row(x: Any, weights: dict[str, Tensor], index: Tensor) -> None:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([values[i] for i in positions])
            pairs = list(zip(network.variables, values, strict=True))
            with keras.StatelessScope(state_mapping=pairs):
                outputs = network(x, training=False)
            terms = [
                term
                for k, task in enumerate(tasks)
                for term in _terms(
                    task,
                    kinds[task.name],
                    tf.cast(outputs[task.name], tf.float32),
                    weights[task.name],
                    entries[task.name],
                    tf.stack([seed + k, index]),
                )
            ]
        for term in terms:
            gradients = tape.gradient(term, [values[i] for i in positions])
            for total, gradient in zip(sums, gradients, strict=True):
                if gradient is not None:
                    dense = tf.cast(tf.convert_to_tensor(gradient), tf.float32) / _SCALE
                    total.assign_add(tf.square(dense))

    in_graph = tf.function(add_row, reduce_retracing=True, autograph=False)
    for index, (x, weights) in enumerate(_rows(masked)):
        in_graph(x, weights, tf.constant(index))
    return [total.numpy() for total in sums]


def _position(network: keras.Model, variable: Any) -> int:
    return next(i for i, other in enumerate(network.variables) if other is variable)


def _kind(task: Task) -> str:
    """Returns whether a task predicts yes or no, classes or numbers.

    Raises:
        ValueError: If it is not known what is likely by its prediction.
    """
    output = task.described()
    kind = "class" if output.kind in ("one-hot", "distribution") else output.kind
    if kind not in ("yes or no", "class", "number") or output.logits:
        raise ValueError(
            f"task {task.name!r}: the Fisher information needs probabilities, or a number with an "
            f"error of its own; the prediction is of the kind {output.kind!r}"
            + (" and holds logits" if output.logits else "")
            + ". Use rule='l2_sp', or leave the task out of tasks=."
        )
    return kind


def _read(
    network: keras.Model, masked: tf.data.Dataset, tasks: Sequence[Task], kinds: dict[str, str]
) -> dict[str, Entries]:
    """Returns the sums of weights, and the spread of errors.

    Raises:
        ValueError: If a task has no label.
    """
    weight: dict[str, Any] = {task.name: 0.0 for task in tasks}
    errors: dict[str, Any] = {task.name: 0.0 for task in tasks}
    for x, y, w in masked:
        outputs = network(x, training=False)
        for task in tasks:
            known = np.abs(np.asarray(w[task.name], "float64"))
            prediction = np.asarray(outputs[task.name], "float64")
            known = _per_entry(known, prediction, kinds[task.name])
            axes = tuple(range(known.ndim - 1)) if task.columns is not None else None
            weight[task.name] = weight[task.name] + known.sum(axis=axes)
            if kinds[task.name] == "number":
                label = np.asarray(y[task.name], "float64").reshape(prediction.shape)
                squares = np.where(known > 0, (label - prediction) ** 2, 0.0)
                errors[task.name] = errors[task.name] + (known * squares).sum(axis=axes)
    for task in tasks:
        if not np.all(np.asarray(weight[task.name]) > 0):
            raise ValueError(
                f"task {task.name!r} has no label in the dataset"
                + (" in some columns" if task.columns is not None else "")
                + ", so that no row shows how much its predictions depend on the network. Leave it "
                "out of tasks=, or pass rows with its labels."
            )
    return {
        name: Entries(
            np.asarray(total),
            np.maximum(errors[name] / total, _TINY) if kinds[name] == "number" else np.ones(()),
        )
        for name, total in weight.items()
    }


def _per_entry(weights: Any, prediction: Any, kind: str) -> Any:
    """Returns weights in the shape of the labels: of each entry, or of each distribution."""
    shape = prediction.shape[:-1] if kind == "class" else prediction.shape
    module = np if isinstance(weights, np.ndarray) else tf
    aligned = module.reshape(weights, (*weights.shape, *[1] * (len(shape) - len(weights.shape))))
    return module.broadcast_to(aligned, shape)


def _rows(masked: tf.data.Dataset) -> Iterator[tuple[Any, dict[str, Tensor]]]:
    """Yields the rows one by one, each as a batch: inputs, and weights by task."""
    for x, _, w in masked.unbatch().batch(1):
        yield x, w


def _terms(
    task: Task, kind: str, prediction: Tensor, weights: Tensor, entries: Entries, seed: Tensor
) -> list[Tensor]:
    """Returns numbers whose squared gradients add up to the information of one row.

    The square root of the probability of an outcome times the gradient of its logarithm is the
    gradient of p / sqrt(p'), where p' is a constant of the value of p. For yes or no, the outcomes
    together give that of p / sqrt(p (1 - p)).
    """
    weight = tf.abs(tf.cast(weights, tf.float32))
    share = task_weight(task) * _per_entry(weight, prediction, kind)
    share = share / tf.constant(entries.weight, tf.float32)
    fixed = tf.stop_gradient(prediction)
    if kind == "number":
        roots = tf.sqrt(share / tf.constant(entries.variance, tf.float32)) * prediction
    elif kind == "yes or no":
        roots = tf.sqrt(share / tf.maximum(fixed * (1.0 - fixed), _TINY)) * prediction
    else:
        roots = tf.sqrt(share[..., None] / tf.maximum(fixed, _TINY)) * prediction
    num_outcomes = math.prod(prediction.shape[1:])
    if num_outcomes <= _EXACT:
        return [_SCALE * root for root in tf.unstack(tf.reshape(roots, [num_outcomes]))]
    # The terms of different labels are independent, with mean 0: one draw of all of them will do.
    if kind == "class":
        chosen = _draw_classes(fixed, seed)
        return [_SCALE * tf.reduce_sum(roots / tf.sqrt(tf.maximum(fixed, _TINY)) * chosen)]
    signs = tf.sign(tf.random.stateless_uniform(prediction.shape, seed, -1.0, 1.0))
    return [_SCALE * tf.reduce_sum(roots * signs)]


def _draw_classes(probabilities: Tensor, seed: Tensor) -> Tensor:
    """Draws a class from each distribution, as 0 and 1."""
    width = probabilities.shape[-1]
    flat = tf.math.log(tf.maximum(tf.reshape(probabilities, [-1, width]), _TINY))
    drawn = tf.random.stateless_categorical(flat, 1, seed)
    return tf.reshape(tf.one_hot(drawn[:, 0], width), tf.shape(probabilities))


def task_weight(task: Task) -> float:
    """Returns the weight of a task as a number."""
    return float(keras.ops.convert_to_numpy(task.weight))
