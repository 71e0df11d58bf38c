"""What each input is worth for the metrics of all tasks."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl._keras_internals import operation_of
from keras_mtl._tasks import Task
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._core import read_core
from keras_mtl.analysis._inside._rows import Rows, read_rows
from keras_mtl.analysis._inside._scorer import Scorer, choose_metrics
from keras_mtl.analysis._inside._table_columns import (
    Array,
    Column,
    correlated_columns,
    find_columns,
    permute,
    read_groups,
)
from keras_mtl.analysis._printing._tables import format_number, format_table
from keras_mtl.training import BalancedModel

_MAX_COLUMNS = 20  # in the text
_MAX_TASKS = 10


@dataclasses.dataclass(frozen=True)
class PermutationImportance:
    """Holds what C columns, or groups of them, are worth to K tasks. `print` shows the drops.

    Args:
        tasks: The names of the K tasks.
        columns: The names of the C columns and groups.
        metrics: By task, the name of its metric.
        scores: By task, its metric on the rows as they are.
        drops: How much worse the metric is with a column permuted, mean over repeats, in the unit
            of the metric, `[C, K]`. Above 0 the column helps; below 0 it is noise.
        deviations: The standard deviation of the drops over repeats, `[C, K]`; NaN with one.
        repeats: The number of permutations of each column.
        rows: The number of rows.
        correlated: Columns of numbers that say nearly the same (absolute rank correlation above
            .8): each of them hides what the others are worth. Pass them as groups.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.regression("sum"), mtl.Task.regression("first")]
        >>> inputs = keras.Input((2,), name="x")
        >>> dense = [keras.layers.Dense(1, name=task.name) for task in tasks]
        >>> network = keras.Model(inputs, {layer.name: layer(inputs) for layer in dense})
        >>> dense[0].set_weights([np.ones((2, 1)), np.zeros(1)])
        >>> dense[1].set_weights([np.eye(2, 1), np.zeros(1)])
        >>> x = np.random.default_rng(0).normal(size=(100, 2)).astype("float32")
        >>> y = {"sum": x.sum(axis=1), "first": x[:, 0]}
        >>> worth = mtl.analysis.permutation_importance(network, (x, y), tasks)
        >>> worth.columns, (worth.drops > 0).tolist()
        (('x/0', 'x/1'), [[True, True], [True, False]])
    """

    tasks: tuple[str, ...]
    columns: tuple[str, ...]
    metrics: dict[str, str]
    scores: dict[str, float]
    drops: FloatArray
    deviations: FloatArray
    repeats: int
    rows: int
    correlated: tuple[tuple[str, ...], ...]

    @property
    def shares(self) -> FloatArray:
        """The share of a column in the drops above 0 of a task, `[C, K]`: free of units."""
        helps = np.maximum(np.nan_to_num(self.drops), 0.0)
        sums = helps.sum(axis=0)
        return np.asarray(np.divide(helps, sums, out=np.zeros_like(helps), where=sums > 0))

    @property
    def contrast(self) -> FloatArray:
        """The largest share of a column minus the median over tasks, `[C]`.

        High for a column that serves one task or few; 0 for one that serves all alike. Shares,
        since the metrics of tasks have different units.
        """
        return np.asarray(self.shares.max(axis=1) - np.median(self.shares, axis=1))

    def __str__(self) -> str:
        contrast = self.contrast
        key = contrast if len(self.tasks) > 1 else self.shares[:, 0]
        order = np.argsort(-key, kind="stable")[:_MAX_COLUMNS]
        tasks = self.tasks[:_MAX_TASKS]
        rows = []
        for i in order:
            cells = [
                f"{format_number(float(drop))} +- {format_number(float(deviation), 2)}"
                for drop, deviation in zip(self.drops[i], self.deviations[i], strict=True)
            ]
            rows.append([self.columns[i], *cells[: len(tasks)], format_number(float(contrast[i]))])
        header = [f"{task} ({self.metrics[task]})" for task in tasks]
        lines = [format_table(["drop", *header, "contrast"], rows)]
        if len(order) < len(self.columns) or len(tasks) < len(self.tasks):
            lines.append(f"... {len(self.columns)} columns, {len(self.tasks)} tasks; see .drops")
        scores = ", ".join(f"{task} {format_number(self.scores[task])}" for task in tasks)
        lines.append(f"from {self.rows} rows and {self.repeats} permutations; scores: {scores}")
        lines += [f"correlated, to be grouped: {', '.join(group)}" for group in self.correlated]
        return "\n".join(lines)


def permutation_importance(
    model: keras.Model,
    dataset: Any,
    tasks: Sequence[Task],
    *,
    columns: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    metrics: str | Mapping[str, str] | None = None,
    repeats: int = 10,
    seed: int = 0,
) -> PermutationImportance:
    """Measures how much worse the metrics of all tasks are if an input says nothing.

    The rows of one column are put in random order, and the metrics of all tasks are computed from
    one pass over these rows. The drop is the difference from the metric of the rows as they are, so
    that it is above 0 where the column helps, whatever the metric's direction.

    Choose it on validation rows, to know which inputs serve which tasks: which to leave out, and
    which only one task needs. It is about this network, not about the data: correlated columns hide
    each other, and a network that ignores a useful column shows 0. Permute such columns as a group,
    and so the columns of a one-hot code. Choose `integrated_gradients` to explain single
    predictions. It takes `repeats` passes per column: with hundreds of columns, name some.

    Args:
        model: A functional network, or a `BalancedModel` of one. It stays as it is. One with its
            preprocessing (`data.with_preprocessing`) has the raw columns permuted.
        dataset: A batched, finite `tf.data.Dataset` or a `keras.utils.PyDataset` of `(x, y)` or
            `(x, y, w)`, or a tuple of arrays; all rows are held in memory. NaN labels and labels
            with weight 0 are missing.
        tasks: The tasks of the network, or some of them.
        columns: Names of the columns or inputs to measure; or, by name of a group, the columns (or
            inputs) that are permuted together, in the same order. Defaults to all columns by
            themselves. An input of one column has its own name, the columns of others are
            `<input>/<position>`; ids in a row and images are one column.
        metrics: By task, or for all, the name of a metric of the task, or `"loss"`. Defaults to
            its first one with a direction.
        repeats: The number of permutations of each column. Defaults to `10`.
        seed: The seed of the permutations, which all columns share. Defaults to `0`.

    Returns:
        A `PermutationImportance`. A column that a task does not read has exactly 0.

    Raises:
        TypeError: If the model shows no graph, or the data are of another kind.
        ValueError: If names are unknown, `repeats` is below 1, or data do not fit the tasks.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income", metrics=["auc"]), mtl.Task.regression("age")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((3,), name="x"), tasks)
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> y = {"income": (x[:, 0] > 0).astype(int), "age": x[:, 1]}
        >>> groups = {"rest": ["x/1", "x/2"], "first": ["x/0"]}
        >>> worth = permutation_importance(network, (x, y), tasks, columns=groups, repeats=2)
        >>> worth.columns, worth.metrics["income"], worth.drops.shape
        (('rest', 'first'), 'auc', (2, 2))

    Reference:
        Breiman 2001, doi:10.1023/A:1010933404324; Fisher et al. 2019, arXiv:1801.01489.
        scikit-learn's function takes 2-d arrays and one pass per metric, and no missing labels.
    """
    core = read_core(model, tasks)
    if type(repeats) is not int or repeats < 1:
        raise ValueError(f"repeats is {repeats!r}; expected a whole number of at least 1.")
    names, signs = choose_metrics(core.tasks, metrics)
    batches = list(read_rows(dataset, core.tasks))
    network = model.network if isinstance(model, BalancedModel) else model
    table = _Table(network, batches)
    columns_by_name = find_columns(table.inputs)
    together = read_groups(columns_by_name, columns)
    scorer = Scorer(core, names, batches)
    baseline = scorer.score(table.split(table.inputs))
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(table.num_rows) for _ in range(repeats)]
    drops = np.array(
        [
            [
                signs * (baseline - scorer.score(table.split(permute(table.inputs, group, order))))
                for order in orders
            ]
            for group in together.values()
        ]
    ).reshape(len(together), repeats, len(core.tasks))
    deviations = drops.std(axis=1, ddof=1) if repeats > 1 else np.full_like(drops[:, 0], np.nan)
    return PermutationImportance(
        tasks=tuple(core.outputs),
        columns=tuple(together),
        metrics=names,
        scores=dict(zip(core.outputs, baseline.tolist(), strict=True)),
        drops=drops.mean(axis=1),
        deviations=deviations,
        repeats=repeats,
        rows=table.num_rows,
        correlated=_correlated(table.inputs, columns_by_name, together),
    )


class _Table:
    """Holds the inputs of all rows, by name, and cuts them into the batches that they came in."""

    def __init__(self, network: keras.Model, batches: Sequence[Rows]) -> None:
        self._structure = batches[0].x
        leaves = [keras.tree.flatten(rows.x) for rows in batches]
        names = list(batches[0].x) if isinstance(batches[0].x, Mapping) else None
        if names is None:
            names = [operation_of(tensor).name for tensor in keras.tree.flatten(network.input)]
        else:
            names = sorted(names)  # as Keras flattens a dict
        self.inputs: dict[str, Array] = {
            name: np.concatenate([np.asarray(of_batch[i]) for of_batch in leaves])
            for i, name in enumerate(names)
        }
        sizes = [len(of_batch[0]) for of_batch in leaves]
        self._ends = np.cumsum([0, *sizes])
        self.num_rows = int(self._ends[-1])

    def split(self, inputs: Mapping[str, Array]) -> list[Any]:
        """Returns inputs by name as batches in the structure in which they came."""
        return [
            keras.tree.pack_sequence_as(
                self._structure,
                [keras.ops.convert_to_tensor(a[start:end]) for a in inputs.values()],
            )
            for start, end in zip(self._ends[:-1], self._ends[1:], strict=True)
        ]


def _correlated(
    inputs: Mapping[str, Array],
    columns: Mapping[str, Column],
    together: Mapping[str, Sequence[Column]],
) -> tuple[tuple[str, ...], ...]:
    """Returns correlated columns that are not permuted together already."""
    return tuple(
        group
        for group in correlated_columns(inputs, columns)
        if not any({columns[name] for name in group} <= {*members} for members in together.values())
    )
