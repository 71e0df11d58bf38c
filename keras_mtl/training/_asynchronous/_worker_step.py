"""The step that a worker takes, and how the chief hands steps out."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._keras_internals import scaled_rate
from keras_mtl._types import Tensor
from keras_mtl.training._optimizer import inner_optimizers


class WorkerStep:
    """Hands out steps of a model to workers, and counts updates.

    Args:
        model: The model.
        coordinator: The `ClusterCoordinator`.
        make_dataset: Returns the data of a worker.
        scaled: Whether a step divides its learning rate by 1 + its staleness.
    """

    def __init__(
        self,
        model: Any,
        coordinator: Any,
        make_dataset: Callable[[], tf.data.Dataset],
        scaled: bool = False,
    ) -> None:
        self._coordinator = coordinator
        with model.distribute_strategy.scope():
            # On a server, whose `assign_add` is one operation that no other one comes between.
            self._version = tf.Variable(0, dtype=tf.int64, trainable=False, name="version")
        data = coordinator.create_per_worker_dataset(lambda: _with_worker(make_dataset()))
        self._batches = iter(data)
        self._step = tf.function(step_of(model, self._version, scaled), autograph=False)

    @property
    def count(self) -> int:
        """The number of updates so far."""
        return int(self._version.numpy())

    def begin_at(self, count: int) -> None:
        """Sets the number of updates so far."""
        self._version.assign(count)

    def run(self, steps: int, max_staleness: int | None) -> dict[int, list[int]]:
        """Takes a number of steps; returns the staleness of each, by worker."""
        at_once = steps if max_staleness is None else max_staleness + 1
        results = []
        for first in range(0, steps, at_once):
            for _ in range(min(at_once, steps - first)):
                results.append(self._coordinator.schedule(self._step, args=(self._batches,)))
            self._coordinator.join()
        staleness: dict[int, list[int]] = {}
        for worker, tau in self._coordinator.fetch(results):
            staleness.setdefault(int(worker), []).append(int(tau))
        return staleness


def check_staleness(staleness: int | str | None, optimizer: Any) -> None:
    """Checks the argument of `fit_async`.

    Raises:
        ValueError: If it is unknown, or the optimizer has no learning rate to scale.
    """
    bound = isinstance(staleness, int) and not isinstance(staleness, bool) and staleness >= 0
    if not (staleness is None or staleness == "scale" or bound):
        raise ValueError(
            f'staleness is {staleness!r}; expected None, a number of steps (0 or more), or "scale".'
        )
    if staleness == "scale" and any(
        inner is not optimizer for inner in inner_optimizers(optimizer)
    ):
        raise ValueError(
            f'staleness="scale" divides the learning rate of one optimizer; received a '
            f"{type(optimizer).__name__}. Compile with a plain optimizer, or bound the staleness "
            "by a number."
        )


def step_of(
    model: Any, version: tf.Variable, scaled: bool
) -> Callable[[Any], tuple[Tensor, Tensor]]:
    """Returns the step of a worker, which counts itself and returns its worker and staleness.

    Args:
        model: The model.
        version: The number of updates so far.
        scaled: Whether a step divides its learning rate by 1 + its staleness.
    """

    def step(batches: Any) -> tuple[Tensor, Tensor]:
        worker, element = next(batches)
        before = version.read_value()

        def factor(gradients: Sequence[Tensor]) -> Tensor:
            # Not before the gradients are there: until then, others send their updates.
            with tf.control_dependencies(gradients):
                staleness = version.read_value() - before
            return 1.0 / (1.0 + tf.cast(staleness, tf.float32))

        rate = scaled_rate(model.optimizer, factor) if scaled else contextlib.nullcontext()
        with tf.control_dependencies([before]), rate:
            logs = model.distribute_strategy.run(model.train_step, args=(element,))
        with tf.control_dependencies(tf.nest.flatten(logs)):
            after = version.assign_add(1, read_value=True)
        return worker, tf.convert_to_tensor(after) - before - 1

    return step


def _with_worker(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns pairs of a number that this worker draws, and a batch, without end."""
    drawn = tf.data.Dataset.from_tensors(0).map(
        # Not by seeds, which are the same on all workers.
        lambda _: tf.raw_ops.NonDeterministicInts(shape=[1], dtype=tf.int64)[0]
    )
    return tf.data.Dataset.zip(drawn.cache().repeat(), dataset.repeat())
