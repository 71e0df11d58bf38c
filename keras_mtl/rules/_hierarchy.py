"""A tree, or a graph without cycles, of outputs: what is below implies what is above."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.rules._consistency import check_rules
from keras_mtl.rules._implies import not_without
from keras_mtl.rules._rule import Rule


def hierarchy(
    parents: Mapping[str, str | Sequence[str]],
    strength: float = 1.0,
    *,
    labeled: str | Sequence[str] = (),
    name: str | None = None,
) -> "Hierarchy":
    """Makes the rule that each output of a tree implies the output above it.

    The penalty is the sum of those of `rules.implies` over all pairs of a child a and a parent b:

        sum -log(1 - a (1 - b))

    In what is served (`export.with_rules`) each output becomes the largest of its own and of all
    below it, so that no child is more probable than a parent. The outputs without children stay as
    they are.

    Choose it for taxonomies whose levels are tasks of their own or columns of one task, with labels
    of some levels in some rows. Where every row has all labels and they are the columns of one
    task, `rules.MaxConstraint` is a loss that trains the outputs to be maxima. Where the lowest
    level excludes itself (one class), sums of its probabilities as the outputs of the levels above
    agree with it as probabilities. On digits in three groups (50 rows with the digit, 1,000 with
    the group; mean of 5 seeds, sd about 3; `benchmarks/regimes_rules.py`) 84.5 % of the digits are
    right with two heads alone, 89.7 % with this rule, 90.0 % with `rules.sums` over the classes,
    and 90.1 % where the group is the sum of its digits; the two answers contradict each other in
    11.0, 2.9, 2.0 and 0.4 % of the rows.

    Args:
        parents: The parent, or parents, of each output that has some, as `"task"`,
            `"task.column"` or `"task.2"`.
        strength: The factor of the penalty. Defaults to `1.0`.
        labeled: Tasks without whose label a row does not count. Defaults to none.
        name: The name in the logs. Defaults to one that Keras makes of the class.

    Returns:
        A rule for `BalancedModel(penalties=[...])` and `export.with_rules`.

    Raises:
        ValueError: If an output stands above itself.

    Example:
        >>> import keras_mtl as mtl
        >>> rule = hierarchy({"cat": "animal", "dog": "animal"})
        >>> rule.references
        ('cat', 'dog', 'animal')
        >>> rule.look_up([mtl.Task.binary(name) for name in rule.references])
        >>> [round(float(v[0]), 1) for v in rule.project([ops.array([v]) for v in (0.6, 0.2, 0.3)])]
        [0.6, 0.2, 0.6]

    Reference:
        The maximum over all below: Giunchiglia and Lukasiewicz 2020 (C-HMCNN), arXiv:2010.10151.
        The penalty is the semantic loss of each edge, arXiv:1711.11157; the paper's own loss needs
        all labels (`rules.MaxConstraint`).
    """
    lists = {
        child: [above] if isinstance(above, str) else list(above)
        for child, above in parents.items()
    }
    return Hierarchy(lists, strength, labeled=labeled, name=name)


@keras.saving.register_keras_serializable(package="keras_mtl")
class Hierarchy(Rule):
    """Holds the rule of `rules.hierarchy`."""

    def __init__(
        self, parents: Mapping[str, Sequence[str]], strength: float = 1.0, **kwargs: Any
    ) -> None:
        above = [parent for of_child in parents.values() for parent in of_child]
        super().__init__(tuple(dict.fromkeys([*parents, *above])), strength, **kwargs)
        self._parents = {child: tuple(above) for child, above in parents.items()}
        check_rules([self])
        self._below = {name: self._all_below(name) for name in self.references}

    def _all_below(self, name: str) -> list[int]:
        """Returns the positions of an output and of all below it."""
        names, pending = {name}, [name]
        while pending:
            parent = pending.pop()
            children = {child for child, above in self._parents.items() if parent in above}
            pending.extend(children - names)
            names |= children
        return [i for i, reference in enumerate(self.references) if reference in names]

    def penalty_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Returns the sum over children and their parents."""
        chances = dict(zip(self.references, self.chances(outputs), strict=True))
        return sum(not_without(chances[child], chances[parent]) for child, parent in self.edges())

    def excess(self, values: Sequence[Tensor]) -> Tensor:
        """Returns the largest probability of a child beyond that of its parent."""
        by_name = dict(zip(self.references, values, strict=True))
        beyond = [by_name[child] - by_name[parent] for child, parent in self.edges()]
        return ops.max(ops.stack(beyond), axis=0)

    def project(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Returns the maxima over all below."""
        return [
            ops.max(ops.stack([values[i] for i in self._below[name]]), axis=0)
            for name in self.references
        ]

    def edges(self) -> list[tuple[str, str]]:
        """Returns the pairs of a child and a parent."""
        return [(child, parent) for child, above in self._parents.items() for parent in above]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal rule."""
        config = {"parents": {k: list(v) for k, v in self._parents.items()}, **super().get_config()}
        del config["references"]
        return config
