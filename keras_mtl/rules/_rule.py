"""The base of all rules between outputs."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.rules._consistency import check_rules
from keras_mtl.rules._places import Chance, Place, chance_at, read_place, value_at
from keras_mtl.training import Penalty

TOLERANCE = 1e-6
"""A rule is broken in a row that is beyond it by more than this."""


class Rule(Penalty, abc.ABC):
    """States what holds between outputs of a network, whatever the labels are.

    In training it is a penalty: pass it to `BalancedModel(penalties=[...])`, which logs
    `<name>_penalty` and `<name>_violation`, the share of rows that break it by more than 1e-6.
    `export.with_rules` makes it exact in what is served. A subclass states both.

    Args:
        references: The outputs that the rule is about: `"task"`, `"task.column"`, or `"task.2"`
            for class (or label) 2 of a task.
        strength: The factor of the penalty. Defaults to `1.0`.
        labeled: Tasks without whose label a row does not count, for outputs that mean something in
            some rows only (whether a click was followed by a sale). Defaults to none.
        name: The name in the logs. Defaults to one that Keras makes of the class.

    Raises:
        ValueError: If fewer than two outputs are named, or one twice.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> @keras.saving.register_keras_serializable(package="example")
        ... class Equal(mtl.rules.Rule):
        ...     def penalty_of(self, outputs):
        ...         first, second = self.values(outputs)
        ...         return keras.ops.square(first - second)
        ...
        ...     def excess(self, values):
        ...         return keras.ops.abs(values[0] - values[1])
        ...
        ...     def project(self, values):
        ...         return [0.5 * (values[0] + values[1])] * 2
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("tap")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> same = Equal(["click", "tap"], name="same")
        >>> model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), penalties=[same])
        >>> served = mtl.export.with_rules(model, [same])
    """

    on_probabilities: bool = True
    """Whether the rule holds between probabilities only."""

    def __init__(
        self,
        references: Sequence[str],
        strength: float = 1.0,
        *,
        labeled: str | Sequence[str] = (),
        name: str | None = None,
    ) -> None:
        super().__init__(strength, name=name)
        self.references = tuple(references)
        self.labeled = (labeled,) if isinstance(labeled, str) else tuple(labeled)
        self._places: tuple[Place, ...] | None = None
        doubles = sorted({ref for ref in self.references if self.references.count(ref) > 1})
        if len(self.references) < 2 or doubles:
            raise ValueError(
                f"rule {self.name!r} needs at least two different outputs; received "
                f"{list(self.references)}"
                + (f", where {doubles} occur more than once." if doubles else ".")
            )

    @property
    def places(self) -> tuple[Place, ...]:
        """The entries of outputs that the rule reads, in the order of the references.

        Raises:
            ValueError: If they are not known yet.
        """
        if self._places is None:
            raise ValueError(
                f"rule {self.name!r} knows no tasks yet: pass it to BalancedModel(penalties=[...]),"
                " or pass tasks=... to export.with_rules."
            )
        return self._places

    def stand_at(self, places: Sequence[Place]) -> None:
        """Sets the entries of outputs that the rule reads, one per reference."""
        self._places = tuple(places)

    @property
    def knows_places(self) -> bool:
        """Whether the references were looked up."""
        return self._places is not None

    def look_up(self, tasks: Sequence[Task]) -> None:
        """Finds the entries of outputs that the references mean.

        Raises:
            ValueError: If there is no such task or entry, an output has no probability where one
                is due, or classes of one task exclude each other already.
        """
        probability = self.on_probabilities
        places = [read_place(ref, tasks, self.name, probability) for ref in self.references]
        self.check_classes(places)
        unknown = [task for task in self.labeled if task not in {task.name for task in tasks}]
        if unknown:
            raise ValueError(
                f"rule {self.name!r}: labeled={unknown} are no tasks; expected some of "
                f"{[task.name for task in tasks]}."
            )
        self.stand_at(places)

    def check_classes(self, places: Sequence[Place]) -> None:
        """Checks that no class implies another class of its task, which excludes it.

        Raises:
            ValueError: If one does.
        """
        place_of = dict(zip(self.references, places, strict=True))
        for lower, upper in self.edges():
            one, other = place_of[lower], place_of[upper]
            if one.is_class and self.on_probabilities and one.task == other.task:
                raise ValueError(
                    f"rule {self.name!r}: {lower!r} cannot imply {upper!r}, another class of the "
                    f"task {one.task!r}: only one class of a row is true."
                )

    def bind(self, network: keras.Model, tasks: Sequence[Task]) -> None:
        """Learns to which network and tasks it belongs."""
        super().bind(network, tasks)
        self.look_up(tasks)

    def check_beside(self, penalties: Sequence[Penalty]) -> None:
        """Checks that it and the other rules of a model can all hold."""
        check_rules([penalty for penalty in penalties if isinstance(penalty, Rule)])

    def penalize(
        self, outputs: Mapping[str, Tensor], sample_weights: Mapping[str, Tensor]
    ) -> Tensor:
        """Computes the penalty of each row, `[rows]`; 0 where a label is missing that must be."""
        penalty = self.penalty_of(outputs)
        for task in self.labeled:
            weight = ops.convert_to_tensor(sample_weights[task])
            axes = tuple(range(1, len(weight.shape)))
            is_labeled = ops.any(ops.not_equal(weight, 0), axis=axes) if axes else weight != 0
            penalty = ops.where(is_labeled, penalty, ops.zeros_like(penalty))
        return penalty

    def violation(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Returns which rows break the rule by more than 1e-6."""
        return self.excess(self.values(outputs)) > TOLERANCE

    def values(self, outputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Returns the entries that the rule reads, `[rows]` each."""
        return [value_at(place, outputs) for place in self.places]

    def chances(self, outputs: Mapping[str, Tensor]) -> list[Chance]:
        """Returns the logarithms of the probabilities that the rule reads."""
        return [chance_at(place, outputs) for place in self.places]

    def obey(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Returns the values where the rule holds, and otherwise those by which it holds."""
        is_broken = self.excess(values) > 0
        pairs = zip(values, self.project(values), strict=True)
        return [ops.where(is_broken, projected, value) for value, projected in pairs]

    @abc.abstractmethod
    def penalty_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Returns the penalty of each row, `[rows]`."""

    @abc.abstractmethod
    def excess(self, values: Sequence[Tensor]) -> Tensor:
        """Returns by how much each row breaks the rule, `[rows]`; 0 or less where it holds."""

    @abc.abstractmethod
    def project(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Returns the values by which the rule holds in place of some, `[rows]` each."""

    def edges(self) -> list[tuple[str, str]]:
        """Returns pairs of references of which the first is never more than the second."""
        return []

    def exclusive(self) -> tuple[frozenset[str], bool] | None:
        """Returns outputs of which at most one is true, and whether one must be."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal rule; a subclass adds its own."""
        config = {"references": list(self.references), "labeled": list(self.labeled)}
        return {**config, **super().get_config()}
