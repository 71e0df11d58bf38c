"""Class weights, which Keras refuses for networks with several outputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import check_keys, read_element
from keras_mtl.data._elements._merge_weights import merge_weights
from keras_mtl.data._elements._numbers import num_classes, read_classes


def class_weights(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    weights: Mapping[str, Mapping[int, float] | Sequence[float]],
) -> tf.data.Dataset:
    """Weighs the examples of each task by their class.

    Choose it for rare classes: Keras's `class_weight` refuses networks with several outputs
    (docs/keras_notes.md, pain 18; keras#20701).
    Weights that the dataset has already are multiplied in, so missing labels keep weight 0 after
    `mask_missing`. `balanced_class_weights` computes weights from counts. Where hard examples
    matter more than rare ones, take a focal loss instead:
    `dataclasses.replace(task, loss=keras.losses.BinaryFocalCrossentropy())`.

    Args:
        dataset: Yields `(x, y)` or `(x, y, w)`, single examples or batches.
        tasks: The tasks that the labels belong to.
        weights: For some of the tasks, the weight of each class: a dict from class to number,
            or a sequence with one number per class, as `balanced_class_weights`, NumPy, pandas
            and scikit-learn's `compute_class_weight` give them. Classes that are not named weigh
            1.

    Returns:
        A dataset of `(x, y, w)`, of the same cardinality, with a float32 weight for each label.

    Raises:
        TypeError: If the dataset does not yield `(x, y)` or `(x, y, w)` with `y` a dict.
        ValueError: If a label, a weight or an entry of `weights` belongs to no task, a task has
            no label, a class is none of the task's, or a class weight is negative, not finite
            or no number (booleans are none).

    Example:
        >>> from keras_mtl import Task
        >>> y = {"income": [0, 1, 1], "college": [0, 0, 1]}
        >>> dataset = tf.data.Dataset.from_tensor_slices(([[0.0]] * 3, y)).batch(3)
        >>> tasks = [Task.binary("income"), Task.binary("college")]
        >>> x, y, w = next(iter(class_weights(dataset, tasks, {"income": {1: 5.0}})))
        >>> w["income"].numpy().tolist(), w["college"].numpy().tolist()
        ([1.0, 5.0, 5.0], [1.0, 1.0, 1.0])
    """
    tasks = check_tasks(tasks)
    read_element(dataset, tasks)
    if not isinstance(weights, Mapping):
        raise TypeError(f"weights must be a dict by task; received a {type(weights).__name__}.")
    check_keys(weights, tasks, "class weight", complete=False)
    factors_of = {
        task.name: read_classes(weights[task.name], task, "weighs")
        for task in tasks
        if task.name in weights
    }

    def weigh(x: Any, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        merged = {}
        for task in tasks:
            label = tf.convert_to_tensor(y[task.name])
            factors = _factors(label, factors_of.get(task.name, {}), task)
            merged[task.name] = merge_weights(factors, w, task)
        return x, y, merged

    return dataset.map(weigh, num_parallel_calls=tf.data.AUTOTUNE)


def _factors(label: tf.Tensor, of_classes: Mapping[float, float], task: Task) -> tf.Tensor:
    """Returns the factor of each label; a row of probabilities has their mean, all along it."""
    factors = tf.ones_like(label, tf.float32)
    if task.labels is not None and task.labels.one_hot and of_classes:
        by_class = [of_classes.get(float(c), 1.0) for c in range(num_classes(task) or 0)]
        means = tf.reduce_sum(tf.cast(label, tf.float32) * by_class, axis=-1, keepdims=True)
        return factors * means
    for value, weight in of_classes.items():
        factors = tf.where(label == tf.cast(value, label.dtype), weight, factors)
    return factors
