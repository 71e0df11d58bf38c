"""At most one, or exactly one, of several outputs is true."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.rules._places import Place
from keras_mtl.rules._projections import nearest_on_simplex, normalized
from keras_mtl.rules._rule import Rule


def at_most_one(
    outputs: Sequence[str],
    strength: float = 1.0,
    *,
    serve: str = "nearest",
    labeled: str | Sequence[str] = (),
    name: str | None = None,
) -> "OneOf":
    """Makes the rule that at most one of several outputs is true.

    The penalty is -log of the probability that it holds, for independent outputs with the
    probabilities p_i:

        -log(prod_i (1 - p_i) + sum_i p_i prod_{j != i} (1 - p_j))

    In what is served (`export.with_rules`) the probabilities add up to at most 1.

    Choose it for yes-or-no tasks that exclude each other and have labels of their own. Not for
    classes that are all labeled in the same rows: `Task.multiclass` knows that they exclude each
    other.

    Args:
        outputs: At least two outputs, as `"task"`, `"task.column"` or `"task.2"`.
        strength: The factor of the penalty. Defaults to `1.0`.
        serve: How probabilities that add up to more are served: `"nearest"` takes the same number
            from all, and none below 0; `"normalized"` divides them by their sum, which keeps their
            ratios. Defaults to `"nearest"`.
        labeled: Tasks without whose label a row does not count. Defaults to none.
        name: The name in the logs. Defaults to one that Keras makes of the class.

    Returns:
        A rule for `BalancedModel(penalties=[...])` and `export.with_rules`.

    Raises:
        ValueError: If there are fewer than two outputs, one stands twice, or `serve` is unknown.

    Example:
        >>> import keras_mtl as mtl
        >>> rule = at_most_one(["a", "b", "c"])
        >>> rule.look_up([mtl.Task.binary(name) for name in "abc"])
        >>> outputs = {name: ops.array([[p]]) for name, p in zip("abc", [0.7, 0.2, 0.4])}
        >>> round(float(rule.penalize(outputs, {})[0]), 4)
        0.491
        >>> [round(float(p[0]), 2) for p in rule.project(rule.values(outputs))]
        [0.6, 0.1, 0.3]

    Reference:
        Xu et al. 2018 (semantic loss), arXiv:1711.11157.
    """
    return OneOf(outputs, strength, exactly=False, serve=serve, labeled=labeled, name=name)


def exactly_one(
    outputs: Sequence[str],
    strength: float = 1.0,
    *,
    serve: str = "nearest",
    labeled: str | Sequence[str] = (),
    name: str | None = None,
) -> "OneOf":
    """Makes the rule that exactly one of several outputs is true.

    The penalty is -log of the probability that it holds, for independent outputs with the
    probabilities p_i:

        -log sum_i p_i prod_{j != i} (1 - p_j)

    In what is served (`export.with_rules`) the probabilities add up to 1.

    Choose it as `at_most_one`, where there is no row in which all are false.

    Args:
        outputs: At least two outputs, as `"task"`, `"task.column"` or `"task.2"`.
        strength: The factor of the penalty. Defaults to `1.0`.
        serve: `"nearest"` adds the same number to all, and cuts off at 0; `"normalized"` divides by
            the sum. Defaults to `"nearest"`.
        labeled: Tasks without whose label a row does not count. Defaults to none.
        name: The name in the logs. Defaults to one that Keras makes of the class.

    Returns:
        A rule for `BalancedModel(penalties=[...])` and `export.with_rules`.

    Raises:
        ValueError: If there are fewer than two outputs, one stands twice, or `serve` is unknown.

    Example:
        >>> import keras_mtl as mtl
        >>> rule = exactly_one(["a", "b", "c"])
        >>> rule.look_up([mtl.Task.binary(name) for name in "abc"])
        >>> outputs = {name: ops.array([[p]]) for name, p in zip("abc", [0.7, 0.2, 0.4])}
        >>> round(float(rule.penalize(outputs, {})[0]), 4)
        0.7593

    Reference:
        Xu et al. 2018 (semantic loss), arXiv:1711.11157.
    """
    return OneOf(outputs, strength, exactly=True, serve=serve, labeled=labeled, name=name)


@keras.saving.register_keras_serializable(package="keras_mtl")
class OneOf(Rule):
    """Holds the rules of `rules.at_most_one` and `rules.exactly_one`."""

    def __init__(
        self,
        references: Sequence[str],
        strength: float = 1.0,
        *,
        exactly: bool,
        serve: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(references, strength, **kwargs)
        if serve not in ("nearest", "normalized"):
            raise ValueError(
                f"rule {self.name!r}: serve must be 'nearest' or 'normalized'; received {serve!r}."
            )
        self.exactly = bool(exactly)
        self.serve = serve

    def check_classes(self, places: Sequence[Place]) -> None:
        """Checks that no two outputs are classes of one task.

        Raises:
            ValueError: If two are.
        """
        classes = [place.task for place in places if place.is_class]
        twice = sorted({task for task in classes if classes.count(task) > 1})
        if twice:
            raise ValueError(
                f"rule {self.name!r} names several classes of the task {twice[0]!r}, which exclude "
                "each other already: its softmax adds up to 1. Name one of them."
            )

    def penalty_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Returns -log of the probability that the rule holds."""
        chances = self.chances(outputs)
        none = sum(chance.no for chance in chances)
        ways = [none - chance.no + chance.yes for chance in chances]  # this one alone
        if not self.exactly:
            ways.append(none)
        return -ops.logsumexp(ops.stack(ways, axis=-1), axis=-1)

    def excess(self, values: Sequence[Tensor]) -> Tensor:
        """Returns by how much the probabilities add up to too much, or also to too little."""
        beyond = sum(values) - 1.0
        return ops.abs(beyond) if self.exactly else beyond

    def project(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Returns probabilities that add up to 1, or to at most 1."""
        together = ops.stack(list(values), axis=-1)
        change = nearest_on_simplex if self.serve == "nearest" else normalized
        projected = change(together)
        if not self.exactly:
            is_broken = ops.sum(together, axis=-1, keepdims=True) > 1.0
            projected = ops.where(is_broken, projected, together)
        return [projected[:, i] for i in range(len(values))]

    def exclusive(self) -> tuple[frozenset[str], bool]:
        """Returns the outputs, and whether one of them must be true."""
        return frozenset(self.references), self.exactly

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal rule."""
        return {"exactly": self.exactly, "serve": self.serve, **super().get_config()}
