"""The number of steps that a training made."""

from typing import Any

import keras


class CountSteps(keras.callbacks.Callback):
    """Counts the steps of a training.

    The optimizer is not asked: the weights of the best epoch bring its number back, and a network
    with a training step of its own may count otherwise, or not at all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self._of_epoch = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Remembers the last batch; several steps in one execution end with it."""
        self._of_epoch = batch + 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the steps of the epoch."""
        self.steps += self._of_epoch
        self._of_epoch = 0

    def check(self, epochs: int, batches: int) -> None:
        """Checks that no epoch was cut short, which Keras does not always tell.

        Args:
            epochs: The number of epochs.
            batches: The number of batches of each; below 0 if it is not known.

        Raises:
            ValueError: If there were fewer steps than the epochs have batches.
        """
        expected = epochs * batches
        if batches >= 0 and self.steps < expected:
            raise ValueError(
                f"the training made {self.steps} steps, and not the {expected} of {epochs} epochs "
                f"of {batches} batches: the training data ended early."
            )
