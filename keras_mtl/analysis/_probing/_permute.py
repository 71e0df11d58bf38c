"""Labels of permuted rows: what remains of conflict when labels say nothing of inputs."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.analysis._probing._read_batches import Element


def permute_rows(batch: Element, tasks: Sequence[Task], rng: np.random.Generator) -> Element:
    """Returns the batch with the labels of each task, and their weights, in an order of their own.

    Each column of a task with columns has its own order, too.
    """
    x, labels, weights = batch
    permuted_labels, permuted_weights = {}, {}
    for task in tasks:
        values = np.asarray(labels[task.name])
        of_task = np.asarray(weights[task.name]) if task.name in weights else None
        if task.columns is None:
            order = rng.permutation(len(values))
            values = values[order]
            of_task = None if of_task is None else of_task[order]
        else:
            orders = np.argsort(rng.random(values.shape), axis=0)
            values = np.take_along_axis(values, orders, axis=0)
            if of_task is not None:
                whole = of_task.reshape(*of_task.shape, *[1] * (values.ndim - of_task.ndim))
                of_task = np.take_along_axis(np.broadcast_to(whole, values.shape), orders, axis=0)
        permuted_labels[task.name] = tf.constant(values)
        if of_task is not None:
            permuted_weights[task.name] = tf.constant(of_task)
    return x, permuted_labels, permuted_weights
