"""If one output is true, another one is."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.rules._places import Chance
from keras_mtl.rules._rule import Rule


def implies(
    condition: str,
    consequence: str,
    strength: float = 1.0,
    *,
    teach: str = "both",
    labeled: str | Sequence[str] = (),
    name: str | None = None,
) -> "Implies":
    """Makes the rule that whenever one output is true, another one is.

    The penalty is -log of the probability that it holds, for independent outputs with the
    probabilities a and b:

        -log(1 - a (1 - b))

    It lowers a and raises b. In what is served (`export.with_rules`) a is at most b: where it is
    more, both become their mean, or with `teach="consequence"` b becomes a.

    Choose it where the one cannot be without the other (a sale without a click, a species without
    its genus), above all where labels of one task are few or missing: rows without any label teach,
    too. Not where the one is only likely by the other: that is for a label to teach. For more than
    two outputs in a row, `rules.ordered`; for a tree, `rules.hierarchy`.

    Args:
        condition: The output of a, as `"task"`, `"task.column"` or `"task.2"` (class 2).
        consequence: The output of b.
        strength: The factor of the penalty. Defaults to `1.0`.
        teach: `"both"`, or `"consequence"`: the condition is taken as it is, and gets no gradient.
            Choose this where the condition is predicted well. Defaults to `"both"`.
        labeled: Tasks without whose label a row does not count. Defaults to none.
        name: The name in the logs. Defaults to one that Keras makes of the class.

    Returns:
        A rule for `BalancedModel(penalties=[...])` and `export.with_rules`.

    Raises:
        ValueError: If both are the same output, or `teach` is unknown.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("buy")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> funnel = implies("buy", "click", 0.1, name="funnel")
        >>> model = mtl.BalancedModel(
        ...     network, tasks, mtl.balancers.Equal(), penalties=[funnel]
        ... )
        >>> outputs = {"buy": ops.array([[0.9]]), "click": ops.array([[0.6]])}
        >>> round(float(funnel.penalize(outputs, {})[0]), 4), bool(funnel.violation(outputs)[0])
        (0.4463, True)

    Reference:
        Xu et al. 2018 (semantic loss), arXiv:1711.11157. Computed of the logits where Keras knows
        them, with no probability clipped: a clipped one has no gradient where the rule is broken
        most.
    """
    return Implies((condition, consequence), strength, teach=teach, labeled=labeled, name=name)


@keras.saving.register_keras_serializable(package="keras_mtl")
class Implies(Rule):
    """Holds the rule of `rules.implies`."""

    def __init__(
        self,
        references: Sequence[str],
        strength: float = 1.0,
        *,
        teach: str = "both",
        **kwargs: Any,
    ) -> None:
        super().__init__(references, strength, **kwargs)
        if teach not in ("both", "consequence"):
            raise ValueError(
                f"rule {self.name!r}: teach must be 'both' or 'consequence'; received {teach!r}."
            )
        self.teach = teach

    def penalty_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Returns -log of the probability that the rule holds."""
        condition, consequence = self.chances(outputs)
        if self.teach == "consequence":
            condition = Chance(*map(ops.stop_gradient, condition))
        return not_without(condition, consequence)

    def excess(self, values: Sequence[Tensor]) -> Tensor:
        """Returns by how much the condition is more probable."""
        condition, consequence = values
        return condition - consequence

    def project(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Returns the two probabilities, of which the first is not the larger one."""
        condition, consequence = values
        if self.teach == "consequence":
            return [condition, ops.maximum(condition, consequence)]
        mean = 0.5 * (condition + consequence)
        is_broken = condition > consequence
        return [ops.where(is_broken, mean, value) for value in values]

    def edges(self) -> list[tuple[str, str]]:
        """Returns that the condition is never more probable."""
        condition, consequence = self.references
        return [(condition, consequence)]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal rule."""
        return {"teach": self.teach, **super().get_config()}


def not_without(condition: Chance, consequence: Chance) -> Tensor:
    """Computes -log(1 - a (1 - b)) as -log((1 - a) + a b), a sum in which no digit is lost."""
    # The gradient of logaddexp is wrong where both are equal (docs/keras_notes.md, pain 138).
    ways = ops.stack([condition.no, condition.yes + consequence.yes], axis=-1)
    return -ops.logsumexp(ways, axis=-1)
