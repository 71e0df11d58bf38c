"""Outputs that do not rise from one to the next."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.rules._implies import not_without
from keras_mtl.rules._projections import lowest_so_far, nearest_falling
from keras_mtl.rules._rule import Rule


def ordered(
    outputs: Sequence[str],
    strength: float = 1.0,
    *,
    by: str = "hinge",
    serve: str = "nearest",
    labeled: str | Sequence[str] = (),
    name: str | None = None,
) -> "Ordered":
    """Makes the rule that each output is at least as large as the next one.

    With the outputs v_1, ..., v_n the penalty is

        sum_i max(0, v_{i+1} - v_i)                 by="hinge"
        sum_i -log(1 - v_{i+1} (1 - v_i))           by="semantic", for probabilities

    The hinge is 0 where the order holds. The semantic penalty goes on until a later output is
    surely false or the earlier one surely true, and its gradient does not fade where a wrong
    prediction is sure. In what is served (`export.with_rules`) the order holds exactly.

    Choose it for events in a row (impression, click, sale), for the probabilities of "more than 1",
    "more than 2", and for numbers such as a minimum and a maximum. Numbers must have one unit.

    Args:
        outputs: At least two outputs, the largest first, as `"task"`, `"task.column"` or
            `"task.2"`; all probabilities, or all numbers.
        strength: The factor of the penalty. Defaults to `1.0`.
        by: `"hinge"` or `"semantic"`. Defaults to `"hinge"`.
        serve: `"nearest"` are the nearest numbers in order (isotonic regression); `"minimum"`
            lowers each output to the smallest before it, so that the first is as predicted.
            Defaults to `"nearest"`.
        labeled: Tasks without whose label a row does not count. Defaults to none.
        name: The name in the logs. Defaults to one that Keras makes of the class.

    Returns:
        A rule for `BalancedModel(penalties=[...])` and `export.with_rules`.

    Raises:
        ValueError: If there are fewer than two outputs, one stands twice, or `by` or `serve` is
            unknown; when it is passed to a model, if numbers and probabilities are mixed.

    Example:
        >>> import keras_mtl as mtl
        >>> rule = ordered(["seen", "clicked", "bought"])
        >>> rule.look_up([mtl.Task.binary(name) for name in ("seen", "clicked", "bought")])
        >>> values = [ops.array([v]) for v in (0.9, 0.2, 0.6)]
        >>> [round(float(v[0]), 2) for v in rule.project(values)]
        [0.9, 0.4, 0.4]

    Reference:
        The hinge is that of AITM, Xi et al. 2021, arXiv:2105.08489.
    """
    return Ordered(outputs, strength, by=by, serve=serve, labeled=labeled, name=name)


@keras.saving.register_keras_serializable(package="keras_mtl")
class Ordered(Rule):
    """Holds the rule of `rules.ordered`."""

    on_probabilities = False

    def __init__(
        self,
        references: Sequence[str],
        strength: float = 1.0,
        *,
        by: str = "hinge",
        serve: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(references, strength, **kwargs)
        if by not in ("hinge", "semantic") or serve not in ("nearest", "minimum"):
            raise ValueError(
                f"rule {self.name!r}: by must be 'hinge' or 'semantic', and serve 'nearest' or "
                f"'minimum'; received {by!r} and {serve!r}."
            )
        self.by = by
        self.serve = serve
        # The semantic penalty reads logarithms of probabilities.
        self.on_probabilities = by == "semantic"

    def penalty_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Returns the sum over neighbors."""
        if self.by == "semantic":
            chances = self.chances(outputs)
            pairs = itertools.pairwise(chances)
            return sum(not_without(later, earlier) for earlier, later in pairs)
        values = self.values(outputs)
        neighbors = itertools.pairwise(values)
        return sum(ops.relu(later - earlier) for earlier, later in neighbors)

    def excess(self, values: Sequence[Tensor]) -> Tensor:
        """Returns the largest rise between neighbors."""
        neighbors = itertools.pairwise(values)
        return ops.max(ops.stack([later - earlier for earlier, later in neighbors]), axis=0)

    def project(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Returns values that do not rise."""
        return nearest_falling(values) if self.serve == "nearest" else lowest_so_far(values)

    def edges(self) -> list[tuple[str, str]]:
        """Returns that each output is never more than the one before it."""
        return list(zip(self.references[1:], self.references, strict=False))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal rule."""
        return {"by": self.by, "serve": self.serve, **super().get_config()}
