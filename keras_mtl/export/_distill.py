"""Training of a small network on the predictions of a large one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Optimizer, Tensor
from keras_mtl.training import BalancedModel
from keras_mtl.transfer._soft_labels import soft_label, soft_loss

Build = Callable[[Sequence[Task]], keras.Model]


def distill(
    teacher: keras.Model,
    student: keras.Model | Build,
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    optimizer: Optimizer = "adam",
    epochs: int = 10,
    **fit_options: Any,
) -> keras.Model:
    """Trains a small network of several tasks on the predictions of a large one.

    For each task the student learns the prediction of the teacher in place of a label:

        yes or no   binary cross-entropy with the teacher's probability
        class       cross-entropy with the teacher's distribution over the classes, which says more
                    than the most probable class; of each position, for tagging and segmentation
        number      the task's own loss (in units of its scale) with the teacher's number as label

    and the losses are added with the weights of the tasks. Labels are not read: the teacher answers
    every row, so that rows with missing labels, or without any, count for all tasks.

    Choose it where a network is too large or too slow to be served, and `single_task` and
    quantization are not enough; with many unlabeled rows if there are any. Not where the teacher
    itself is poor, and not in place of training: compare the student with a network of its size
    that was trained on labels (`studies.compare`), and with the teacher (`export.compare`).

    Args:
        teacher: A trained network whose outputs are a dict by task, or the `BalancedModel` that
            trains one. It stays as it is.
        student: A network with the same inputs, or a function from tasks to one, such as
            `lambda tasks: architectures.hard_sharing(inputs, tasks, shared=(16,))`.
        dataset: Yields batches of `x`, `(x, y)` or `(x, y, w)`; `y` and `w` are ignored.
        tasks: The tasks of the student: all of the teacher's, or some.
        optimizer: As in `keras.Model.compile`. Defaults to `"adam"`.
        epochs: The number of epochs. Defaults to `10`.
        fit_options: Further arguments of `keras.Model.fit`, such as `callbacks`, `verbose`,
            `steps_per_epoch` or `validation_data`, a dataset of the same form: `val_loss` says how
            far the student is from the teacher on it.

    Returns:
        The student, compiled with the losses above; compile it anew to train on labels. What
        `fit` has returned is its `history`.

    Raises:
        TypeError: If teacher or student is no network with a dict of outputs, or `dataset` is no
            dataset.
        ValueError: If a task is missing from the teacher, or the student has other outputs or
            another shape of a prediction; or what a task's labels say is not known. The message
            names the task.

    Example:
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> teacher = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(256, 128))
        >>> rows = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
        >>> student = distill(
        ...     teacher,
        ...     lambda tasks: mtl.architectures.hard_sharing(
        ...         keras.Input((4,)), tasks, shared=(8,), tower=()
        ...     ),
        ...     tf.data.Dataset.from_tensor_slices(rows).batch(32),
        ...     tasks,
        ...     epochs=1,
        ...     verbose=0,
        ... )
        >>> student.count_params() < 0.01 * teacher.count_params()
        True

    Reference:
        Hinton et al. 2015, arXiv:1503.02531; of several tasks, Clark et al. 2019 (BAM!),
        arXiv:1907.04829. The temperature is 1, with which the paper's loss is the cross-entropy
        above: heads predict probabilities, and yes-or-no tasks have no other classes to soften.
        Nothing of the labels is mixed in.
    """
    tasks = check_tasks(tasks)
    teacher = _network_of(teacher, "teacher")
    if not isinstance(student, keras.Model):
        student = student(tasks)
    student = _network_of(student, "student")
    _check_outputs(teacher, student, tasks)
    losses = {task.name: soft_loss(task) for task in tasks}
    student.compile(optimizer, loss=losses, loss_weights={task.name: task.weight for task in tasks})
    if "validation_data" in fit_options:
        held_out = _with_targets(fit_options["validation_data"], teacher, tasks)
        fit_options = {**fit_options, "validation_data": held_out}
    soft = _with_targets(dataset, teacher, tasks)
    student.fit(soft, epochs=epochs, **{"shuffle": False, **fit_options})
    return student


def _network_of(model: Any, what: str) -> keras.Model:
    network = model.network if isinstance(model, BalancedModel) else model
    if not isinstance(network, keras.Model) or not isinstance(
        getattr(network, "output", None), Mapping
    ):
        raise TypeError(
            f"the {what} must be a functional keras.Model whose outputs are a dict from task name "
            f"to prediction; received {model!r}."
        )
    return network


def _check_outputs(teacher: keras.Model, student: keras.Model, tasks: Sequence[Task]) -> None:
    """Checks that the student predicts the tasks, and in the shapes of the teacher."""
    names = [task.name for task in tasks]
    unknown = [name for name in names if name not in teacher.output]
    if unknown:
        raise ValueError(f"the teacher has no tasks {unknown}; it has {sorted(teacher.output)}.")
    if set(student.output) != set(names):
        raise ValueError(
            f"the student must predict exactly the tasks {names}; it predicts "
            f"{sorted(student.output)}."
        )
    for name in names:
        shapes = [tuple(network.output[name].shape[1:]) for network in (teacher, student)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"task {name!r}: the teacher predicts {shapes[0]} per row and the student "
                f"{shapes[1]}; give both the same head, Task.output(features)."
            )


def _with_targets(dataset: Any, teacher: keras.Model, tasks: Sequence[Task]) -> tf.data.Dataset:
    """Returns a dataset of inputs and of what the teacher predicts."""
    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(
            "expected a batched tf.data.Dataset of x, (x, y) or (x, y, w); received a "
            f"{type(dataset).__name__}."
        )

    def add_targets(*batch: Any) -> tuple[Any, dict[str, Tensor]]:
        inputs = batch[0]
        predictions = teacher(inputs, training=False)
        targets = {task.name: soft_label(task, predictions[task.name]) for task in tasks}
        return inputs, targets

    return dataset.map(add_targets, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
