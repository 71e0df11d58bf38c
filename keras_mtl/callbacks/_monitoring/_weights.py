"""The weights of the last step, by the order of a monitor's tasks."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_mtl._tasks import Task
from keras_mtl.analysis._probing._read_batches import loss_names
from keras_mtl.training import BalancedModel


def step_weights(model: keras.Model, tasks: Sequence[Task]) -> npt.NDArray[np.float64]:
    """Returns the factors `[K]` of the gradients in the direction of the last step.

    Under plain Keras they are 1: gradients are those of losses times `Task.weight`.
    """
    names = loss_names(tasks)
    if not isinstance(model, BalancedModel):
        return np.ones(len(names))
    stored: Any = keras.ops.convert_to_numpy(model._step.state.stored_weights)
    by_name = dict(zip(loss_names(model.tasks), stored.tolist(), strict=True))
    return np.array([by_name[name] for name in names])
