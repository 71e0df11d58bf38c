"""Penalties on the outputs of a network, or on its variables, that join the goal of each step."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.data._elements._numbers import read_number


class Penalty(keras.layers.Layer, abc.ABC):
    """Adds a number to the goal of each step: for what is known beside the labels.

    A penalty reads the outputs of the network as they are served (probabilities where a head gives
    probabilities), for rules between tasks or consistency; or it reads variables of the network,
    to keep them near known values. It needs no labels. `BalancedModel(penalties=[...])` adds
    `strength` times its mean over the rows of the global batch to the goal, as regularizers are
    added: one more backward pass, in float32, which no balancer weighs. Evaluation adds it to
    `loss` too.

    Choose a penalty for what holds beside the labels, and a `Task` for what has labels of its own:
    a balancer weighs tasks only. A penalty that only reads one layer's output is better placed in
    that layer, by `add_loss`.

    The logs hold `<name>_penalty`, its mean without `strength`, and `<name>_violation`, the share
    of rows that break the rule, if the subclass defines `violation`.

    A subclass defines `penalize`, is registered for saving, and returns its arguments from
    `get_config`. State (old weights, importances) is made by `add_weight` in `__init__` or in
    `bind`, and is saved with the model.

    Args:
        strength: The factor of the penalty, 0 or more. Defaults to `1.0`.
        name: The name in the logs; those of one model differ. Defaults to one that Keras makes of
            the class.

    Raises:
        ValueError: If `strength` is no number, or negative.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> @keras.saving.register_keras_serializable(package="example")
        ... class BuyImpliesClick(mtl.training.Penalty):
        ...     def penalize(self, outputs, sample_weights):
        ...         return keras.ops.relu(outputs["buy"] - outputs["click"])[:, 0]
        ...
        ...     def violation(self, outputs):
        ...         return outputs["buy"][:, 0] > outputs["click"][:, 0]
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("buy")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> rule = BuyImpliesClick(0.1, name="funnel")
        >>> model = mtl.BalancedModel(
        ...     network, tasks, mtl.balancers.Equal(), penalties=[rule]
        ... )
    """

    of_hook: ClassVar[bool] = False
    """Whether it compares rows that a `BatchHook` has appended, so that it counts in training
    alone."""

    def __init__(self, strength: float = 1.0, *, name: str | None = None) -> None:
        # float32 whatever the policy is: probabilities near 0 or 1 have no room in half precision.
        super().__init__(name=name, dtype="float32")
        self.strength = read_number(strength, f"penalty {self.name!r}: strength is", low=0)
        # A function, since Keras would save a network that is an attribute a second time.
        self._network: Callable[[], keras.Model] | None = None

    @abc.abstractmethod
    def penalize(
        self, outputs: Mapping[str, Tensor], sample_weights: Mapping[str, Tensor]
    ) -> Tensor:
        """Computes the penalty of each row, or one number for the variables.

        Args:
            outputs: The outputs of the network by task, `[rows, ...]`, in float32.
            sample_weights: The sample weights of all tasks, `[rows]` or as the labels of a task
                with columns: 0 where there is no label, and 1 where the data have no weights.

        Returns:
            `[rows]`, of which the mean over the global batch is taken; or a scalar that does not
            depend on rows, which counts once on any number of replicas.
        """

    def violation(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Returns which rows break the rule, `[rows]`, as bool or 0 and 1.

        Defined by rules of which that can be said; then it is logged.

        Args:
            outputs: The outputs of the network by task.
        """
        raise NotImplementedError

    @property
    def has_violation(self) -> bool:
        """Whether the subclass defines `violation`."""
        return type(self).violation is not Penalty.violation

    def bind(self, network: keras.Model, tasks: Sequence[Task]) -> None:
        """Learns to which network it belongs; `BalancedModel` calls it once, when it is made.

        A subclass that checks names of tasks, or makes state whose shapes depend on the network,
        does so here, after `super().bind(network, tasks)`.

        Args:
            network: The network.
            tasks: Its tasks.

        Raises:
            ValueError: If it belongs to another network.
        """
        if self._network is not None and self._network() is not network:
            raise ValueError(
                f"penalty {self.name!r} belongs to another network already; make a new one for "
                "each model."
            )
        self._network = lambda: network
        self.built = True

    def check_beside(self, penalties: Sequence["Penalty"]) -> None:
        """Checks that it fits the other penalties of a model; called when all are bound.

        By default it does nothing. Rules override it that may contradict each other.

        Args:
            penalties: All penalties of the model, this one among them.

        Raises:
            ValueError: If it does not fit.
        """

    @property
    def bound(self) -> bool:
        """Whether it knows its network."""
        return self._network is not None

    @property
    def network(self) -> keras.Model:
        """The network that it belongs to.

        Raises:
            ValueError: If it belongs to none yet.
        """
        if self._network is None:
            raise ValueError(
                f"penalty {self.name!r} belongs to no network yet: pass it to "
                "BalancedModel(penalties=[...]), or call bind(network, tasks)."
            )
        return self._network()

    def call(self, outputs: Mapping[str, Tensor], sample_weights: Mapping[str, Tensor]) -> Tensor:
        """Returns the result of `penalize`."""
        return self.penalize(outputs, sample_weights)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal penalty."""
        return {"strength": self.strength, "name": self.name}
