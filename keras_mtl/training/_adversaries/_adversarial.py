"""Adversarial training as a hook before the forward pass."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._replicas import current_replicas
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.data._elements._numbers import read_whole
from keras_mtl.training._adversaries._moved_rows import Forward, MovedRows, gradient_of
from keras_mtl.training._adversaries._nearby import NORMS, along, within
from keras_mtl.training._logs import TaskLosses


@keras.saving.register_keras_serializable(package="keras_mtl")
class Adversarial(MovedRows):
    """Appends to each batch of training its rows, moved by a small step to where the loss rises.

    For each example x by itself, with g(x) the gradient of sum_k w_k L_k at x (the tasks' losses
    times `Task.weight`):

        steps=1            r = epsilon g(x) / |g(x)|                                    (FGM)
        norm="inf"         r = epsilon sign(g(x))                                       (FGSM)
        steps=n            r <- P(r + epsilon/2 g(x + r) / |g(x + r)|), n times from 0  (PGD)

    where P shortens what is longer than epsilon. Moved rows have the labels of x, and its sample
    weights times `alpha`, so that the loss of every task is (L + alpha L_adv) / (1 + alpha), and
    balancers see clean and moved rows as one.

    Choose it for robustness to steps of that length: on scikit-learn's digits with 50 labels the
    accuracy under an attack of length .5 is .45, with one step or three, where it is .33 without
    moved rows and .36 with noise of that length. Do not choose it for accuracy alone (.83 and .84,
    beside .82 of noise and .81; five seeds, spread .02 to .05, `benchmarks/regimes.py nearby`):
    take `VirtualAdversarial` if there are rows without labels. Nor where inputs are categories as
    numbers, or epsilon has another meaning in each column: standardize them first. A training step
    costs about two plain ones, and one more for each further step of PGD.

    Words: move their embeddings. Add an input of zeros behind the embedding, and name it in `on`:

        tokens, shift = keras.Input((20,), dtype="int32"), keras.Input((20, 64), name="shift")
        embedded = keras.layers.Add()([keras.layers.Embedding(9000, 64)(tokens), shift])

    with zeros for `shift` in the data. Popular code divides by the norm of the gradient of the
    embedding matrix instead, which is one for the whole batch: an example of a small gradient is
    then hardly moved.

    Batch normalization takes its statistics of both halves. Metrics of training count moved rows
    too. The result is the same on any number of replicas, and steps are computed in float32
    whatever the policy is.

    Args:
        epsilon: The length of the step, in the unit of the input; above 0.
        norm: 2, or "inf": the largest entry. Defaults to `2`.
        steps: The number of steps. Defaults to `1`.
        tasks: The names of the tasks whose losses tell the direction. Defaults to `None`: all.
        on: The name of the input that is moved. Defaults to `None`: the only one.
        alpha: How much moved rows count beside the others; above 0. Defaults to `1.0`.
        clip: The lowest and the highest value of the input, which moved rows keep to. Defaults to
            `None`: no limits.
        name: Optional name.

    Raises:
        ValueError: If an argument does not fit; by `BalancedModel`, if `on` is no input, or one
            of whole numbers, several inputs leave it open, a task is unknown, or the loss of one
            compares the examples of a batch.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("buy")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> hook = Adversarial(0.1, steps=3, clip=(0, 1))
        >>> model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), prepare=hook)

    Reference:
        FGSM: Goodfellow et al., arXiv:1412.6572. FGM: Miyato et al., arXiv:1605.07725. PGD: Madry
        et al., arXiv:1706.06083, which begins at a random point.
    """

    def __init__(
        self,
        epsilon: float,
        *,
        norm: float | str = 2,
        steps: int = 1,
        tasks: Sequence[str] | None = None,
        on: str | None = None,
        alpha: float = 1.0,
        clip: tuple[float, float] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(epsilon, tasks=tasks, on=on, alpha=alpha, clip=clip, name=name)
        self.norm = "inf" if norm == float("inf") else norm
        if self.norm not in NORMS:
            raise ValueError(f"{self.name!r}: norm must be 2 or 'inf'; received {norm!r}.")
        self.steps = read_whole(steps, f"{self.name!r}: steps is")
        self._task_losses: TaskLosses | None = None

    def bind(self, network: keras.Model, tasks: Sequence[Task]) -> None:
        """Finds the input and the tasks, and checks them."""
        super().bind(network, tasks)
        if wrong := [task.name for task in tasks if task.reads_batch]:
            raise ValueError(
                f"{self.name!r}: the losses of {wrong} compare the examples of a batch, and would "
                "compare them with moved ones. Use VirtualAdversarial, or train without it."
            )
        self._task_losses = TaskLosses(self._tasks)

    def step(
        self,
        forward: Forward,
        x: Tensor,
        labels: dict[str, Tensor],
        sample_weights: dict[str, Tensor],
        seed: Tensor,
    ) -> Tensor:
        """Returns the step of each row along the gradient of its losses."""
        assert self._task_losses is not None, "bind finds the losses"
        losses_of = self._task_losses
        num_rows = tf.cast(tf.shape(x)[0], tf.float32) * current_replicas().count

        def goal(at: Tensor) -> Tensor:
            losses = losses_of(labels, forward(at), sample_weights)
            # The sum over rows, not their mean: half precision has no room for gradients / rows.
            return num_rows * tf.add_n([tf.reduce_sum(loss) for loss in losses.of_replica])

        size = self.epsilon if self.steps == 1 else self.epsilon / 2
        step = tf.zeros_like(x)
        for _ in range(self.steps):
            change = along(gradient_of(goal, self.moved(x, step)), self.norm)
            step = within(step + size * change, self.epsilon, self.norm)
        return step

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal hook."""
        return {**super().get_config(), "norm": self.norm, "steps": self.steps}
