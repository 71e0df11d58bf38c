"""What the workers of one training tell each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class Workers:
    """Gathers numbers of all workers of a strategy.

    Args:
        strategy: The strategy of the model.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        self.several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        # `training.cluster` makes one list of workers, of which the first is the chief.
        self.index = int(strategy.cluster_resolver.task_id or 0) if self.several else 0
        self._gather: Any = None

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the files."""
        return self.index == 0

    def gather(self, numbers: Sequence[int]) -> np.ndarray:
        """Returns the numbers of each worker, int64 `[workers, n]`; all workers have to call it."""
        rows = np.asarray([[self.index, *numbers]], np.int64)
        if self.several:
            if self._gather is None:
                self._gather = tf.function(self._gather_in_graph, autograph=False)
            rows = self._gather(tf.constant(rows)).numpy()
        # All replicas of a worker say the same.
        by_worker = {int(row[0]): row[1:] for row in rows}
        return np.asarray([by_worker[index] for index in sorted(by_worker)])

    def _gather_in_graph(self, numbers: tf.Tensor) -> tf.Tensor:
        def of_replica() -> tf.Tensor:
            placed = tf.identity(numbers)  # on the device of the replica, which the gather asks for
            return tf.distribute.get_replica_context().all_gather(placed, axis=0)

        gathered = self._strategy.run(of_replica)
        return self._strategy.experimental_local_results(gathered)[0]
