"""Tasks whose labels are groups of another task's classes."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._kinds._marginal import MarginalHead
from keras_mtl._tasks._labels import Labels


class MarginalFactory(BaseTask):
    """Adds `Task.marginal`."""

    @classmethod
    def marginal(
        cls,
        name: str,
        *,
        of: str,
        groups: Sequence[Sequence[int]],
        metrics: Sequence[Any] = ("accuracy",),
        weight: float = 1.0,
    ) -> Self:
        """Builds a task whose labels say to which group of another task's classes a class belongs.

        The output `(batch, groups)` holds the sums of the other task's probabilities,

            P(g) = sum_(c in g) p_c,   loss -log P(y)

        and the task has no variables of its own: its labels train the other task.

        Choose it where coarse labels are many and fine ones few: the species of all animals and
        the breed of some, a product group where the product is not known. The two answers never
        contradict each other. Two heads side by side (`multiclass` twice) know nothing of the
        groups: with 50 fine and 1,000 coarse labels of handwritten digits in 3 groups, four seeds,
        .858 of the fine classes are right, with this task .887, and with fine labels alone .835
        (`benchmarks/regimes_kinds.py`; standard deviations .02 to .04). It is of no use where each
        example has its fine label, or where the coarse label is not implied by the fine one: then
        use two tasks.

        Args:
            name: Name of the task.
            of: The name of the other task, `Task.multiclass`, `tagging` or `segmentation`, which
                has to be in the list of tasks of the architecture. In a network of your own, call
                `task.output(prediction)` with its output.
            groups: For each coarse class, the numbers of the fine ones. Each fine class is in
                exactly one group.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("accuracy",)`.
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` whose labels are integers `(batch,)` from 0 to the number of groups - 1.

        Raises:
            ValueError: If there are fewer than two groups, one is empty, or a class is in two
                groups or in none.

        Example:
            >>> import keras
            >>> import keras_mtl as mtl
            >>> tasks = [
            ...     mtl.Task.multiclass("breed", 5),
            ...     mtl.Task.marginal("species", of="breed", groups=[[0, 1, 4], [2, 3]]),
            ... ]
            >>> network = mtl.architectures.hard_sharing(keras.Input((8,)), tasks)
            >>> network.output["species"].shape
            (None, 2)
        """
        sets = tuple(tuple(int(c) for c in group) for group in groups)
        classes = sorted(c for group in sets for c in group)
        if len(sets) < 2 or not all(sets) or classes != list(range(len(classes))):
            raise ValueError(
                f"task {name!r}: groups are two or more lists of class numbers, and each class "
                f"from 0 on is in exactly one of them; received {list(map(list, sets))}."
            )
        return cls(
            name,
            head=MarginalHead(len(sets), of=of, groups=sets),
            loss=keras.losses.SparseCategoricalCrossentropy(),
            metrics=metrics,
            weight=weight,
            labels=Labels(integer=True, low=0, high=len(sets) - 1),
        )
