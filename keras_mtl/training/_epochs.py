"""The work at the end of an epoch, outside the graph."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.training._reports import CURE, listing


class EpochEnd(keras.callbacks.Callback):
    """Tells the balancer that an epoch is over and reports tasks that were left out of steps."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Checks that no layer has been frozen since, and counts the tasks left out anew."""
        self.model.check_trained()
        self.model.reset_left_out()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Ends the epoch of the balancer, and warns of each task that was left out of steps."""
        if logs is not None:
            self.model.mark_epoch(logs)
        self.model.balancer.end_epoch(self._without_inactive(logs))
        listed = listing(self.model.left_out, "step(s)")
        if listed:
            warnings.warn(
                f"epoch {epoch + 1}: the loss or gradient was not finite for {listed}; the task "
                f"was left out of those steps. {CURE}",
                stacklevel=2,
            )
        # Below 1 a factor does the opposite of what it is for: overflows are no exception then.
        scale = getattr(self.model.optimizer, "dynamic_scale", None)
        scale = None if scale is None else float(keras.ops.convert_to_numpy(scale))
        if scale is not None and scale < 1.0:
            warnings.warn(
                f"epoch {epoch + 1}: the loss scale has fallen to {scale:g}, since "
                f"gradients were not finite in many steps, which the optimizer skipped. {CURE}",
                stacklevel=2,
            )

    def _without_inactive(self, logs: dict[str, float] | None) -> dict[str, float] | None:
        """Returns the logs without the weight 0 of tasks that are switched off.

        A balancer would take it for a task that is starved, and warn of the others.
        """
        if logs is None:
            return None
        names = {task.name for task in self.model.tasks} - {*self.model.active_tasks}
        return {k: v for k, v in logs.items() if k not in {f"{name}_weight" for name in names}}


def with_epoch_end(callbacks: Any, model: keras.Model) -> Any:
    """Returns the callbacks with `EpochEnd` as the first one.

    It changes the state of the balancer, which a `BackupAndRestore` after it then saves.
    """
    return with_first(EpochEnd(), callbacks, model)


def with_first(first: keras.callbacks.Callback, callbacks: Any, model: keras.Model) -> Any:
    """Returns callbacks with one before all others."""
    # A list of Keras's own has its model already, and hands it to no callback that comes later.
    if isinstance(callbacks, keras.callbacks.CallbackList):
        first.set_model(model)
        callbacks.callbacks.insert(0, first)
        return callbacks
    if callbacks is None:
        return [first]
    return [first, *(callbacks if isinstance(callbacks, Sequence) else [callbacks])]
