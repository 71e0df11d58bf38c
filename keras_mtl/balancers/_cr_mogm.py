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

    With `lambda^_t` what the other balancer finds at step t,

        lambda_t = alpha lambda_{t-1} + (1 - alpha) lambda^_t

    Weights found from one batch depend on the noise of that batch, as its gradients do, and the
    two together make the direction biased; an average of many batches hardly does. Choose it
    around MGDA, CAGrad, PCGrad and their like where batches are small. Not the right choice
    where the promise of each single step matters: averaged weights do not keep it.

    The first weights of a task are those found in its first step, so that weights keep the scale
    of the other balancer. A task that was absent goes on from its last ones.

    Args:
        balancer: The balancer to smooth.
        alpha: The part of the former weights, from 0 (the other balancer as it is) to 1 (its
            first weights for ever). Defaults to `0.9`.
        name: Optional name of the layer.

    Raises:
        TypeError: If `balancer` is no Gramian balancer, or one with two weights a task.
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
                "CRMOGM smooths one weight a task, and "
                f"{type(balancer).__name__} gives two; it averages its own."
            )
        check_numbers("alpha", alpha, 0, 1)
        self.balancer = balancer
        self.alpha = float(alpha)
        self.needs = balancer.needs

    def bind(self, names: Sequence[str]) -> None:
        """Tells the names of the tasks to both balancers."""
        super().bind(names)
        self.balancer.bind(names)

    def build(self, num_tasks: int) -> None:
        """Makes the state of both balancers for `num_tasks` tasks."""
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
        """Lets the other balancer see the same tasks, and its assignments wait with these."""
        if self._updates is None:
            yield
            return
        with self.balancer.on_tasks(self._indices) as updates:
            updates.update(self._updates)
            yield
            self._updates.update(updates)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """The smoothed weights `[K]`, for a Gramian `[K, K]` and losses `[K]`."""
        with self._inside():
            found = self.balancer.weigh(gramian, losses)
        former = ops.cast(self.smooth.value, found.dtype)
        former = ops.where(self.seen.value > 0, former, found)
        smooth = self.alpha * former + (1 - self.alpha) * found
        self.smooth.assign(smooth)
        self.seen.assign(ops.ones_like(self.seen.value))
        return smooth

    def look_ahead_weights(self) -> Tensor:
        """Those of the other balancer."""
        with self._inside():
            return self.balancer.look_ahead_weights()

    def after_update(self, losses: Tensor) -> None:
        """Told to the other balancer."""
        with self._inside():
            self.balancer.after_update(losses)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Told to the other balancer."""
        self.balancer.end_epoch(logs)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        wrapped = keras.saving.serialize_keras_object(self.balancer)
        return {**super().get_config(), "balancer": wrapped, "alpha": self.alpha}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CRMOGM":
        """Makes an equal balancer around an equal balancer."""
        wrapped = keras.saving.deserialize_keras_object(config["balancer"])
        return cls(**{**config, "balancer": wrapped})
