"""Labels of teachers: where there is no label, or mixed with those that there are."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.data._elements._numbers import read_number
from keras_mtl.data._mask_missing import mask_missing
from keras_mtl.training._frontier import named_outputs
from keras_mtl.transfer._networks import read_network
from keras_mtl.transfer._soft_labels import CLASSES, soft_label, soft_loss


def taught(task: Task, temperature: float = 1.0) -> Task:
    """Returns a task that learns from the labels of `with_teachers`.

    It has the name, the head and the weight of `task`, and a loss that takes probabilities as
    labels: cross-entropy of yes-or-no labels and of classes, and the task's own loss of numbers. It
    has no metrics, since they compare with labels: evaluate the trained network with the tasks
    themselves, `BalancedModel(network, tasks, ...)`.

    Args:
        task: The task.
        temperature: T, which softens the distributions of classes of teacher and student before
            they are compared, and multiplies the loss by T^2. More than 1 makes the classes that
            the teacher holds for unlikely matter more. Defaults to `1.0`.

    Returns:
        A task for `BalancedModel`, in place of `task`.

    Raises:
        ValueError: If it is not known what the labels of the task say, or the temperature is not
            positive, or not 1 and the task has no classes.

    Example:
        >>> import keras_mtl as mtl
        >>> taught(mtl.Task.multiclass("topic", 3), temperature=2.0).loss.temperature
        2.0

    Reference:
        Hinton et al. 2015, arXiv:1503.02531. The loss is the cross-entropy; T^2 KL differs from it
        by a constant. A factor T^2 that is left out makes the gradient T^2 times too small.
    """
    loss = soft_loss(task, temperature)
    return dataclasses.replace(
        task, loss=loss, metrics=(), labels=None, threshold=None, log_columns=()
    )


def with_teachers(
    dataset: tf.data.Dataset,
    teachers: Mapping[str, keras.Model],
    tasks: Sequence[Task],
    *,
    share: float = 0.0,
    annealing: int | None = None,
) -> tf.data.Dataset:
    """Replaces labels by the predictions of teachers, or mixes them.

    For the tasks of `teachers`, with the teacher's prediction q and the label y of a row:

        share y + (1 - share) q     where there is a label; it keeps its weight
        q                           where there is none; it gets the weight 1

    so that every row teaches every such task. Train with `taught(task)` in the place of these
    tasks. A teacher is a network of one task, or a larger one of several; for learning without
    forgetting, it is the old network itself: `{"old": network}` with the rows of a new task, and
    `taught(old, temperature=2.0)`.

    Choose it with many rows that have no labels, for a small network that shall be served
    (`export.distill` does this alone, in one call), or against forgetting. Do not expect much of it
    on the rows that the teacher was trained on itself: it has learned their labels by heart.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`; missing labels are NaN, or have the weight 0.
        teachers: The network that teaches, by task: functional, with an output of that name in the
            shape of the task's prediction and with the same inputs. It is copied, and so does not
            change when layers that it shares are trained.
        tasks: All tasks of the dataset, as its labels are.
        share: The share of the label, from 0 to 1. Defaults to `0.0`.
        annealing: The number of batches over which the share rises from 0 to 1, in place of
            `share`. They are counted from the beginning of the dataset: pass `dataset.repeat()`,
            and `steps_per_epoch` to `fit`. Defaults to `None`.

    Returns:
        A dataset of `(x, y, w)`.

    Raises:
        TypeError: If a teacher does not show its graph, or the dataset is none.
        ValueError: If a teacher teaches no task, has no such output or another shape of it, the
            predictions are no probabilities, or `share` or `annealing` is out of range.

    Example:
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> teacher = mtl.architectures.hard_sharing(keras.Input((4,)), tasks)
        >>> x, y = np.ones((8, 4)), {"click": np.full(8, np.nan), "price": np.zeros(8)}
        >>> rows = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
        >>> rows = with_teachers(rows, {"click": teacher}, tasks)
        >>> student = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> model = mtl.BalancedModel(
        ...     student, [taught(tasks[0]), tasks[1]], mtl.balancers.Equal()
        ... )

    Reference:
        Learning without forgetting: Li and Hoiem 2016, arXiv:1606.09282. Teacher annealing: Clark
        et al. 2019 (BAM!), arXiv:1907.04829.
    """
    tasks = check_tasks(tasks)
    share = read_number(share, "with_teachers: share is", low=0, high=1)
    if annealing is not None and (not isinstance(annealing, int) or annealing < 1):
        raise ValueError(f"annealing must be a number of batches; received {annealing!r}.")
    by_name = {task.name: task for task in tasks}
    unknown = sorted({*teachers} - {*by_name})
    if unknown or not teachers:
        raise ValueError(
            f"teachers must be a dict from some of the tasks {list(by_name)} to networks; received "
            f"{sorted(teachers)}" + (f", where {unknown} are no tasks." if unknown else ".")
        )
    copies = {name: _copy(by_name[name], teacher) for name, teacher in teachers.items()}
    masked = mask_missing(dataset, tasks)
    _check_probabilities(masked, copies, by_name)

    def teach(index: Tensor, element: Any) -> Any:
        x, y, w = element
        part = share
        if annealing is not None:
            part = tf.minimum(tf.cast(index, tf.float32) / annealing, 1.0)
        labels, weights = dict(y), dict(w)
        for name, teacher in copies.items():
            soft = soft_label(by_name[name], teacher(x, training=False)[name])
            labels[name], weights[name] = _mixed(by_name[name], y[name], w[name], soft, part)
        return x, labels, weights

    return masked.enumerate().map(teach, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _copy(task: Task, teacher: Any) -> keras.Model:
    """Returns a copy of a teacher, whose outputs are a dict.

    Raises:
        ValueError: If it does not predict the task.
    """
    network = read_network(teacher)
    outputs = named_outputs(network)
    if task.name not in outputs:
        raise ValueError(
            f"the teacher of task {task.name!r} has no output of that name; it has "
            f"{sorted(outputs)}."
        )
    soft_loss(task)  # refuses a task of which nothing is known
    width = task.described().width
    if width is not None and outputs[task.name].shape[-1] != width:
        raise ValueError(
            f"task {task.name!r}: the teacher predicts the shape {outputs[task.name].shape}, and "
            f"the task has {width} entries."
        )
    copied = keras.models.clone_model(network)
    copied.set_weights(network.get_weights())
    return keras.Model(copied.input, {task.name: named_outputs(copied)[task.name]})


def _check_probabilities(
    masked: tf.data.Dataset, teachers: Mapping[str, keras.Model], tasks: Mapping[str, Task]
) -> None:
    """Checks the predictions of teachers for the first batch.

    Raises:
        ValueError: If probabilities are due and they are none.
    """
    for x, _, _ in masked.take(1):
        for name, teacher in teachers.items():
            kind = tasks[name].described().kind
            soft = keras.ops.convert_to_numpy(soft_label(tasks[name], teacher(x)[name]))
            wrong = kind != "number" and not ((soft >= 0) & (soft <= 1)).all()
            wrong |= kind in CLASSES and bool((abs(soft.sum(-1) - 1) > 1e-3).any())
            if wrong:
                raise ValueError(
                    f"task {name!r}: the teacher's predictions are no probabilities"
                    + (" that add up to 1" if kind in CLASSES else "")
                    + f", but from {soft.min():.3g} to {soft.max():.3g}. Give it a head with "
                    "sigmoid or softmax."
                )


def _mixed(
    task: Task, label: Tensor, weight: Tensor, soft: Tensor, share: Any
) -> tuple[Tensor, Tensor]:
    """Returns the labels and the weights of one task."""
    if task.described().kind == "class":
        positions = tf.reshape(tf.cast(label, tf.int32), tf.shape(soft)[:-1])
        hard = tf.one_hot(positions, soft.shape[-1])
    else:
        hard = tf.reshape(tf.cast(label, tf.float32), tf.shape(soft))
    is_known = tf.not_equal(weight, 0)
    # Weights are those of rows, of positions or of entries: axes of 1 stand for the others.
    missing = len(soft.shape) - len(is_known.shape)
    known = tf.reshape(is_known, tf.concat([tf.shape(is_known), tf.ones(missing, tf.int32)], 0))
    mixed = tf.where(known, share * hard + (1.0 - share) * soft, soft)
    return mixed, tf.where(is_known, weight, tf.ones_like(weight))
