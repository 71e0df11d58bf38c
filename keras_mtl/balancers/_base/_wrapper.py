"""Balancers around another balancer."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import keras

from keras_mtl._tasks import LossTraits
from keras_mtl._types import Tensor
from keras_mtl.balancers._base._gramian_balancer import GramianBalancer
from keras_mtl.balancers._base._state import TaskState


class GramianWrapper(GramianBalancer):
    """Holds another Gramian balancer, and passes on to it everything but the rule.

    A subclass writes `weigh`, in which `wrapped_weights` gives the weights of the wrapped
    balancer for the same tasks. It may make state of its own in `build`. The wrapper declares the
    needs of the wrapped balancer, since the trainer asks the wrapper only.

    Args:
        balancer: The balancer to wrap.
        name: Optional name of the layer.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        TypeError: If `balancer` is no Gramian balancer.

    Example:
        >>> from keras_mtl.balancers import MGDA
        >>> class Doubled(GramianWrapper):
        ...     def weigh(self, gramian, losses):
        ...         return 2 * self.wrapped_weights(gramian, losses)
        >>> Doubled(MGDA()).weigh([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0]).numpy().tolist()
        [1.0, 1.0]
    """

    def __init__(
        self, balancer: GramianBalancer, *, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        if not isinstance(balancer, GramianBalancer):
            raise TypeError(
                f"{type(self).__name__} wraps a balancer that finds weights from a Gramian, such "
                f"as MGDA(); received {balancer!r}."
            )
        self.balancer = balancer
        self.needs = balancer.needs

    def bind(self, names: Sequence[str]) -> None:
        """Sets the names of the tasks in both balancers."""
        super().bind(names)
        self.balancer.bind(names)

    def read_tasks(self, traits: Sequence[LossTraits]) -> None:
        """Hands both balancers what is known of the losses."""
        super().read_tasks(traits)
        self.balancer.read_tasks(traits)

    def build(self, num_tasks: int) -> None:
        """Makes the state of both balancers for `num_tasks` tasks."""
        super().build(num_tasks)
        if not self.balancer.built:
            self.balancer.build(num_tasks)

    @property
    def states(self) -> tuple[TaskState, ...]:
        """The state of both balancers."""
        return (*super().states, *self.balancer.states)

    @contextlib.contextmanager
    def _on_same_tasks(self) -> Iterator[None]:
        """Runs the wrapped balancer on the same active tasks, inside or outside of `on_tasks`.

        Inside, assignments of its state are collected together with those of the wrapper, and
        later calls within the same `on_tasks` see them.
        """
        self.balancer.static_shapes = self.static_shapes  # the trainer sets that of the wrapper
        if self._updates is None:
            yield
            return
        with self.balancer.on_tasks(self._indices) as updates:
            updates.update(self._updates)
            yield
            self._updates.update(updates)

    def wrapped_weights(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Returns the weights of the wrapped balancer; call it in `weigh`.

        Args:
            gramian: The Gramian, as `weigh` receives it.
            losses: The losses, as `weigh` receives them.
        """
        with self._on_same_tasks():
            return self.balancer.weigh(gramian, losses)

    def draw_preference(self) -> Tensor:
        """Returns the preference `[K]` of the wrapped balancer."""
        with self._on_same_tasks():
            return self.balancer.draw_preference()

    def look_ahead_weights(self) -> Tensor:
        """Returns the look-ahead weights `[K]` of the wrapped balancer."""
        with self._on_same_tasks():
            return self.balancer.look_ahead_weights()

    def after_update(self, losses: Tensor) -> None:
        """Passes the losses `[K]` of the batch after the update to the wrapped balancer."""
        with self._on_same_tasks():
            self.balancer.after_update(losses)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Passes the logs of an epoch to the wrapped balancer."""
        self.balancer.end_epoch(logs)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer, the wrapped one included."""
        wrapped = keras.saving.serialize_keras_object(self.balancer)
        return {**super().get_config(), "balancer": wrapped}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes an equal balancer around an equal balancer."""
        wrapped = keras.saving.deserialize_keras_object(config["balancer"])
        return cls(**{**config, "balancer": wrapped})
