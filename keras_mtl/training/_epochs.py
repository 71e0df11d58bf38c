"""The work at the end of an epoch, outside the graph."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras


class EpochEnd(keras.callbacks.Callback):
    """Tells the balancer that an epoch is over and reports tasks that were left out of steps."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts counting the tasks that are left out anew."""
        self.model.reset_left_out()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Ends the epoch of the balancer, and warns of each task that was left out of steps."""
        self.model.balancer.end_epoch(logs)
        left_out = {name: count for name, count in self.model.left_out.items() if count}
        if left_out:
            listed = ", ".join(f"{name!r} in {count} step(s)" for name, count in left_out.items())
            warnings.warn(
                f"epoch {epoch + 1}: the loss or gradient was not finite for {listed}; the task "
                "was left out of those steps. Look for NaN in its labels and inputs, or lower "
                "the learning rate.",
                stacklevel=2,
            )


def with_epoch_end(callbacks: Any, model: keras.Model) -> Any:
    """Returns the callbacks with `EpochEnd` as the first one.

    It changes the state of the balancer, which a `BackupAndRestore` after it then saves.
    """
    first = EpochEnd()
    # A list of Keras's own has its model already, and hands it to no callback that comes later.
    if isinstance(callbacks, keras.callbacks.CallbackList):
        first.set_model(model)
        callbacks.callbacks.insert(0, first)
        return callbacks
    if callbacks is None:
        return [first]
    return [first, *(callbacks if isinstance(callbacks, Sequence) else [callbacks])]
