"""The number of steps that a training made."""

from typing import Any

import keras


class CountSteps(keras.callbacks.Callback):
    """Counts the steps of the optimizer, which later callbacks set back with the best weights."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Reads the number of steps so far."""
        self.steps = int(self.model.optimizer.iterations)

    def check(self, epochs: int, batches: int) -> None:
        """Checks that no epoch was cut short, which Keras does not always tell.

        Args:
            epochs: The number of epochs.
            batches: The number of batches of each; below 0 if it is not known.

        Raises:
            ValueError: If the optimizer made fewer steps than the epochs have batches.
        """
        optimizer = self.model.optimizer
        # Scaling of losses leaves steps out.
        if batches < 0 or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return
        together = getattr(optimizer, "gradient_accumulation_steps", None) or 1
        expected = epochs * batches // together
        if self.steps < expected:
            raise ValueError(
                f"the training made {self.steps} steps, and not the {expected} of {epochs} epochs "
                f"of {batches} batches: the training data ended early."
            )
