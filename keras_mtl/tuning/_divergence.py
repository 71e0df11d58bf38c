"""Trials that diverge fail: a number that is not finite is never better than another."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner
from keras import ops

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor


class FailDiverged(keras.callbacks.Callback):
    """Fails a trial in the first epoch in which a number is not finite.

    Metrics do not always tell (docs/keras_notes.md, pain 96). The accuracy of predictions that are
    NaN is the share of one class, and a metric may leave out what is not finite. So this callback
    looks at the objective and the losses in the logs, which are of all validation data, and at the
    trainable variables. A network that is compiled otherwise than by `compile_args` may not log
    the tasks' losses: on the first batch of the validation data this callback computes them.

    Args:
        names: The names in the logs of the objective and of losses.
        tasks: The tasks.
        batch: A batch `(x, y)` or `(x, y, w)` of the validation data.
    """

    def __init__(self, names: Sequence[str], tasks: Sequence[Task], batch: Any) -> None:
        super().__init__()
        self.names = list(names)
        self.losses = {task.name: task.make_loss() for task in tasks}
        self.batch = batch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Tensor] | None = None) -> None:
        """Raises `FailedTrialError`, of which Keras Tuner makes a failed trial."""
        check_finite_logs(epoch, logs or {}, self.names)
        if variable := self._find_variable():
            fail_trial(epoch, f"the variable {variable} is not finite")
        for name, loss in self._batch_losses().items():
            if not math.isfinite(loss):
                fail_trial(epoch, f"the loss of task {name!r} on a validation batch is {loss}")

    def _find_variable(self) -> str | None:
        """Returns the path of a trainable variable that is not finite, if there is one."""
        variables = self.model.trainable_variables
        if not variables:
            return None
        finite = ops.stack([ops.all(ops.isfinite(variable)) for variable in variables])
        flags = ops.convert_to_numpy(finite)  # one transfer from the device for all variables
        return None if flags.all() else str(variables[int(flags.argmin())].path)

    def _batch_losses(self) -> dict[str, float]:
        """Computes the tasks' losses on the batch; the model's state stays as it is."""
        x, y, *rest = self.batch
        weights = rest[0] if rest else {}
        # In a stateless scope nothing is assigned, not even the seeds of layers that draw.
        with keras.StatelessScope():
            predictions = _by_name(self.model, self.model(x, training=False))
            return {
                name: float(loss(y[name], predictions[name], weights.get(name)))
                for name, loss in self.losses.items()
                if name in predictions
            }


def check_finite_logs(epoch: int, logs: Mapping[str, Any], names: Sequence[str]) -> None:
    """Checks that the values in the logs of an epoch are finite.

    Raises:
        keras_tuner.errors.FailedTrialError: If one is not.
    """
    for name in names:
        if name in logs and not math.isfinite(value := float(logs[name])):
            fail_trial(epoch, f"{name} is {value}")


def fail_trial(epoch: int, reason: str) -> None:
    """Raises the error of which Keras Tuner makes a failed trial."""
    raise keras_tuner.errors.FailedTrialError(f"epoch {epoch + 1}: {reason}")


def _by_name(network: keras.Model, outputs: Any) -> dict[str, Tensor]:
    """Returns the outputs by task; empty if they have no names."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    flat = keras.tree.flatten(outputs)
    names = getattr(network, "output_names", None) or ()
    return dict(zip(names, flat, strict=True)) if len(names) == len(flat) else {}
