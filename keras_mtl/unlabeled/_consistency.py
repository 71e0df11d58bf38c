"""Predictions that stay the same where the inputs are changed a little."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.data._elements._numbers import read_number
from keras_mtl.training import BatchHook, Penalty
from keras_mtl.training._dropout_seeds import check_seeds, seeds_by_replica
from keras_mtl.unlabeled._rows._append import input_of, replace
from keras_mtl.unlabeled._rows._judged import judged_tasks
from keras_mtl.unlabeled._rows._nearness import Nearness


@keras.saving.register_keras_serializable(package="keras_mtl")
class Consistency(BatchHook):
    """Keeps predictions the same where a layer changes the inputs; it needs no labels.

    Each batch also has its rows x as the layer changes them, c(x), without labels. Then strength
    times the mean over all rows of

        sum_k w_k KL(p_k(x) || p_k(c(x)))                              threshold=None
        sum_k w_k 1[max p_k(x) >= threshold] -log p_k(c(x))[argmax p_k(x)]   otherwise

    is added to the goal, with the distribution p_k of task k, which counts as constant at x, and
    `Task.weight` w_k. No balancer sees it; the logs hold it as `<name>_penalty`.

    Choose it where a change is known that keeps the labels: a shift of an image, noise, a cell of
    another row (`unlabeled.SwapCells`). The change is all that
    it teaches: where it does change labels, it teaches errors. On digits with 50 labels and 1,000
    rows without (`benchmarks/regimes_unlabeled.py`, five seeds, sd .03 to .04) the accuracy rises
    from .825 to .875 with noise of .1 on the pixels, to .871 with cells of other images, to .875
    with shifts of the image and a threshold of .95, and hardly (.828) with shifts and without a
    threshold. `training.VirtualAdversarial`, which finds the change itself for inputs of real
    numbers, reaches .90 there.

    Draws of the layer are its own. On several replicas it draws others on each of them, and has to
    be made inside of the scope of their strategy.

    Args:
        change: A Keras layer that returns what it receives, changed, in the same shape.
        strength: The factor in the goal; above 0. Defaults to `1.0`.
        threshold: The probability from which on a prediction counts as a label (FixMatch); above
            0.5, below 1. Defaults to `None`: all rows, with the distribution.
        tasks: The names of the tasks. Defaults to `None`: all that predict a class, or yes or no,
            for each row.
        on: The name of the input that is changed, where inputs are a dict. Defaults to `None`.
        name: The name in the logs. Defaults to one that Keras makes of the class.

    Raises:
        ValueError: If a number is out of range, or `change` is no layer; by `BalancedModel`, if a
            task is unknown or predicts no such probabilities, or on several replicas if a layer
            that draws was made outside of their scope; in the first step, if the layer
            changes the shape.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.multiclass("topic", 3)]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> hook = Consistency(keras.layers.GaussianNoise(0.1), name="steady")
        >>> model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), prepare=hook)

    Reference:
        With a threshold: FixMatch, Sohn et al. 2020, arXiv:2001.07685, which also changes the row
        that gives the label, slightly, and leaves labeled rows out. Without: unsupervised data
        augmentation, Xie et al. 2020, arXiv:1904.12848, without its sharpening.
    """

    def __init__(
        self,
        change: keras.layers.Layer,
        strength: float = 1.0,
        *,
        threshold: float | None = None,
        tasks: Sequence[str] | None = None,
        on: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if isinstance(change, dict):  # from a saved configuration
            change = keras.saving.deserialize_keras_object(change)
        if not isinstance(change, keras.layers.Layer):
            raise ValueError(f"{self.name!r}: change must be a Keras layer; received {change!r}.")
        self.change = change
        self.strength = read_number(strength, f"{self.name!r}: strength is", low=0, above=True)
        self.threshold = threshold
        if threshold is not None:
            self.threshold = read_number(
                threshold, f"{self.name!r}: threshold is", low=0.5, high=1, above=True, below=True
            )
        self.tasks = None if tasks is None else list(tasks)
        self.on = on
        self._penalties: list[Nearness] = []

    @property
    def penalties(self) -> tuple[Penalty, ...]:
        """The divergence, as a term of the goal."""
        return tuple(self._penalties)

    def bind(self, network: keras.Model, tasks: Sequence[Task]) -> None:
        """Finds the tasks, and checks them."""
        super().bind(network, tasks)
        check_seeds(self.change, repr(self.name))
        judged = judged_tasks(network, tasks, self.tasks, self.name)
        self._penalties = [Nearness(judged, self.threshold or 0.0, self.strength, name=self.name)]
        for penalty in self._penalties:
            penalty.bind(network, tasks)

    def prepare(
        self,
        forward: Callable[[Any], dict[str, Tensor]],
        inputs: Any,
        labels: dict[str, Tensor],
        sample_weights: dict[str, Tensor],
        seed: Tensor,
    ) -> Any:
        """Returns twice as many rows."""
        before = input_of(inputs, self.on, repr(self.name))
        with seeds_by_replica(self.change, every_layer=True):
            after = tf.cast(self.change(before, training=True), before.dtype)
        if not after.shape.is_compatible_with(before.shape):
            raise ValueError(
                f"{self.name!r}: the layer {self.change.name!r} changes the shape of the input "
                f"from {tuple(before.shape)} to {tuple(after.shape)}."
            )
        changed = replace(inputs, self.on, after)
        return (
            keras.tree.map_structure(lambda a, b: tf.concat([a, b], 0), inputs, changed),
            {name: tf.concat([label, label], 0) for name, label in labels.items()},
            {name: tf.concat([w, tf.zeros_like(w)], 0) for name, w in sample_weights.items()},
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal hook."""
        return {
            "change": keras.saving.serialize_keras_object(self.change),
            "strength": self.strength,
            "threshold": self.threshold,
            "tasks": self.tasks,
            "on": self.on,
            "name": self.name,
        }
