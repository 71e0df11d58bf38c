"""Changes of a batch inside the training step, before the forward pass."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from keras_mtl._replicas import current_replicas
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.training._penalty import Penalty
from keras_mtl.training._steps import batch_start

Rows: TypeAlias = tuple[Any, dict[str, Tensor], dict[str, Tensor]]
"""Inputs, labels by task and sample weights by task."""


class BatchHook(keras.layers.Layer, abc.ABC):
    """Changes each batch of training inside the step, before the forward pass.

    For rows that depend on the network as it is now: adversarial neighbors, pseudo-labels; or on
    draws that the graph makes: modality dropout. `BalancedModel(prepare=hook)` calls `prepare` in
    training steps only, in the graph, on each replica. The losses stay means over the valid labels
    of the global batch, also if it has become longer, so that balancers, masks and replicas need
    to know nothing of it. Metrics of training count the rows that the network has seen.

    Do not choose it for augmentation that does not read the network: in the dataset
    (`data.augment`) that costs no time of the step.

    A subclass defines `prepare`, is registered for saving, and returns its arguments from
    `get_config`.

    Args:
        name: Optional name.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> @keras.saving.register_keras_serializable(package="example")
        ... class Noise(mtl.training.BatchHook):
        ...     def prepare(self, forward, inputs, labels, sample_weights, seed):
        ...         return inputs + 0.1 * self.draw_normal(inputs, seed), labels, sample_weights
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("buy")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), prepare=Noise())
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name, dtype="float32")

    @abc.abstractmethod
    def prepare(
        self,
        forward: Callable[[Any], dict[str, Tensor]],
        inputs: Any,
        labels: dict[str, Tensor],
        sample_weights: dict[str, Tensor],
        seed: Tensor,
    ) -> Rows:
        """Returns the batch that the step trains on.

        Rows may be appended: as many as the batch has, or a multiple, such that row i of each
        block comes from row i of the batch. Whatever is computed here counts as constant: no
        gradient of the step passes through it.

        Args:
            forward: Returns the outputs by task for some inputs, in training mode, and changes
                nothing of the network. A `tf.GradientTape` around it gives gradients.
            inputs: The inputs, in the structure that the data have.
            labels: The labels of all tasks.
            sample_weights: The sample weights of all tasks; 0 where there is no label, and 1
                where the data have no weights.
            seed: An int32 `[2]` for stateless draws, another one in each step and the same on
                all replicas: see `draw_normal`.

        Returns:
            Inputs, labels and sample weights, in the same structures.
        """

    @property
    def penalties(self) -> tuple[Penalty, ...]:
        """Terms of the goal that belong to the hook, such as those of rows that it appends."""
        return ()

    def bind(self, network: keras.Model, tasks: Sequence[Task]) -> None:
        """Checks whether it fits a network; `BalancedModel` calls it when it is made.

        Args:
            network: The network.
            tasks: Its tasks.
        """
        self.built = True

    def draw_normal(self, tensor: Tensor, seed: Tensor) -> Tensor:
        """Draws standard normal numbers, such that a row of the global batch gets its own.

        They are the same on any number of replicas.

        Args:
            tensor: Rows, `[rows, ...]`.
            seed: The seed, int32 `[2]`.

        Returns:
            Numbers in float32, in the shape of `tensor`.
        """
        replicas = current_replicas()
        shape = tf.shape(tensor)
        start, total = batch_start(shape[0], replicas), shape[0]
        if replicas.count > 1:
            total = tf.cast(replicas.sum(tf.cast(total, tf.float32)), tf.int32)
        numbers = tf.random.stateless_normal(tf.concat([[total], shape[1:]], 0), seed)
        rows = numbers if replicas.count == 1 else numbers[start : start + shape[0]]
        return tf.ensure_shape(rows, tensor.shape)

    def call(
        self,
        forward: Callable[[Any], dict[str, Tensor]],
        inputs: Any,
        labels: Mapping[str, Tensor],
        sample_weights: Mapping[str, Tensor],
        seed: Tensor,
    ) -> Rows:
        """Returns the result of `prepare`."""
        return self.prepare(forward, inputs, dict(labels), dict(sample_weights), seed)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal hook."""
        return {"name": self.name}


def check_hook(hook: Any) -> BatchHook | None:
    """Returns a hook or `None`; checks that it is one."""
    if hook is not None and not isinstance(hook, BatchHook):
        raise ValueError(
            "prepare must be an object of a class that derives from keras_mtl.training.BatchHook; "
            f"received {hook!r}."
        )
    return hook
