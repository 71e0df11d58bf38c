"""Moving averages of the weights of another balancer."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, TaskState, check_numbers


@keras.saving.register_keras_serializable(package="keras_mtl")
class CRMOGM(GramianBalancer):
    """Smooths the weights of another Gramian balancer over the steps.

    With `lambda^_t` the weights that the other balancer returns at step t,

        lambda_t = alpha lambda_{t-1} + (1 - alpha) lambda^_t

    Weights from one batch depend on the noise of that batch, and so do its gradients. Together
    they make the direction biased. An average over many batches hardly depends on that noise.
    Choose it around MGDA, CAGrad, PCGrad and similar rules when batches are small. It is not the
    right choice when the guarantee of each single step matters: averaged weights do not keep it.

    The first weights of a task are those of its first step, so that the weights keep the scale
    of the other balancer. A task that was absent continues from its last weights.

    Guide:
        Choose it when: another rule is to be smoothed, where batches are small
        Not when: weights should follow at once
        Source: Zhou et al. 2022, NeurIPS

    Args:
        balancer: The balancer to smooth.
        alpha: The part of the previous weights, from 0 (the other balancer's weights as they are)
            to 1 (its first weights forever). Defaults to `0.9`.
        name: Optional name of the layer.

    Raises:
        TypeError: If `balancer` is no Gramian balancer, or returns two weights per task.
        ValueError: If alpha is not from 0 to 1.

    Example:
        >>> from keras_mtl.balancers import MGDA
        >>> balancer = CRMOGM(MGDA(), alpha=0.5)
        >>> _ = balancer.weigh([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
        >>> weights = balancer.weigh([[1.0, 0.0], [0.0, 3.0]], [1.0, 1.0])
        >>> [round(float(weight), 3) for weight in weights]  # between (1/2, 1/2) and (3/4, 1/4)
        [0.625, 0.375]

    Reference: Zhou et al. (NeurIPS 2022), "On the Convergence of Stochastic Multi-Objective
    Gradient Manipulation and Beyond". There alpha may grow as the learning rate falls.
    """

    def __init__(
        self,
        balancer: GramianBalancer,
        *,
        alpha: float = 0.9,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if not isinstance(balancer, GramianBalancer):
            raise TypeError(
                "CRMOGM smooths a balancer that finds weights from a Gramian, such as MGDA(); "
                f"received {balancer!r}."
            )
        if balancer.needs.inner_steps:
            raise TypeError(
                "CRMOGM smooths one weight per task, and "
                f"{type(balancer).__name__} gives two; it averages its own."
            )
        check_numbers("alpha", alpha, 0, 1)
        self.balancer = balancer
        self.alpha = float(alpha)
        # The trainer asks this balancer alone, so it declares the needs of the other one.
        self.needs = balancer.needs

    def bind(self, names: Sequence[str]) -> None:
        """Tells the names of the tasks to both balancers."""
        super().bind(names)
        self.balancer.bind(names)

    def build(self, num_tasks: int) -> None:
        """Creates the state of both balancers for `num_tasks` tasks."""
        super().build(num_tasks)
        self.smooth = self.add_state("smooth", (num_tasks,))
        self.seen = self.add_state("seen", (num_tasks,))
        if not self.balancer.built:
            self.balancer.build(num_tasks)

    @property
    def states(self) -> tuple[TaskState, ...]:
        """The state of both balancers."""
        return (*super().states, *self.balancer.states)

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        """Shows the other balancer the same tasks, and collects its assignments with these."""
        if self._updates is None:
            yield
            return
        with self.balancer.on_tasks(self._indices) as updates:
            # Calls within one `on_tasks` see each other's assignments.
            updates.update(self._updates)
            yield
            self._updates.update(updates)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Returns the smoothed weights `[K]` for a Gramian `[K, K]` and losses `[K]`."""
        with self._inside():
            weights = self.balancer.weigh(gramian, losses)
        previous = ops.cast(self.smooth.value, weights.dtype)
        previous = ops.where(self.seen.value > 0, previous, weights)
        smooth = self.alpha * previous + (1 - self.alpha) * weights
        self.smooth.assign(smooth)
        self.seen.assign(ops.ones_like(self.seen.value))
        return smooth

    def look_ahead_weights(self) -> Tensor:
        """Returns the look-ahead weights `[K]` of the other balancer."""
        with self._inside():
            return self.balancer.look_ahead_weights()

    def after_update(self, losses: Tensor) -> None:
        """Passes the losses `[K]` of the batch after the update to the other balancer."""
        with self._inside():
            self.balancer.after_update(losses)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Passes the end of an epoch to the other balancer."""
        self.balancer.end_epoch(logs)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        wrapped = keras.saving.serialize_keras_object(self.balancer)
        return {**super().get_config(), "balancer": wrapped, "alpha": self.alpha}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CRMOGM":
        """Creates an equal balancer around an equal balancer."""
        wrapped = keras.saving.deserialize_keras_object(config["balancer"])
        return cls(**{**config, "balancer": wrapped})
