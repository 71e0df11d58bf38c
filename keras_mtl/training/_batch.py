"""One batch, as Keras hands it to a step, or as a hook has changed it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._types import Tensor


class Batch:
    """Holds the inputs, the labels and the sample weights of one batch.

    Args:
        data: `x`, `(x, y)` or `(x, y, weights)`.

    Attributes:
        num_examples: The number of examples on this replica before a hook has appended rows;
            `None` if no hook has seen the batch.
    """

    num_examples: Tensor | None = None

    def __init__(self, data: Any) -> None:
        self.x, self.y, self.sample_weight = keras.utils.unpack_x_y_sample_weight(data)

    @property
    def size(self) -> Tensor:
        """The number of examples on this replica."""
        return tf.shape(keras.tree.flatten(self.x)[0])[0]

    def weights_of(self, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Returns sample weights for all tasks, 1 for each example where the data have none."""
        weights = self.sample_weight or {}
        ones = tf.ones((self.size,))
        return {name: ones if weights.get(name) is None else weights[name] for name in tasks}

    def prepared(
        self,
        hook: Any,
        forward: Callable[[Any], dict[str, Tensor]],
        tasks: Sequence[str],
        seed: Tensor,
    ) -> "Batch":
        """Returns the batch that a `BatchHook` makes of this one.

        Args:
            hook: The hook.
            forward: Returns the outputs for some inputs, and changes nothing of the network.
            tasks: The names of the tasks.
            seed: An int32 `[2]`.

        Raises:
            ValueError: If the hook does not return inputs, labels and weights of all tasks.
        """
        weights = self.weights_of(tasks)
        rows = hook.prepare(forward, self.x, dict(self.y), weights, seed)
        if not isinstance(rows, tuple) or len(rows) != 3:
            raise ValueError(
                f"the hook {hook.name!r} must return (inputs, labels, sample_weights); received "
                f"{type(rows).__name__}."
            )
        for kind, by_task in (("labels", rows[1]), ("sample weights", rows[2])):
            if not isinstance(by_task, Mapping) or set(by_task) != set(tasks):
                keys = sorted(by_task) if isinstance(by_task, Mapping) else type(by_task).__name__
                raise ValueError(
                    f"the hook {hook.name!r} must return {kind} of the tasks {sorted(tasks)}; "
                    f"received {keys}."
                )
        batch = Batch(rows)
        batch.num_examples = self.size
        return batch
