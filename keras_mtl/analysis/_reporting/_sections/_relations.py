"""Relations of tasks as matrices, and groups of tasks."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis import figures
from keras_mtl.analysis._group_tasks import TaskGroups
from keras_mtl.analysis._inputs._matrices import read_matrices
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._label_relations import LabelRelations
from keras_mtl.analysis._relation import Relation
from keras_mtl.analysis._reporting._cells import NONE, to_interval, to_text
from keras_mtl.analysis._reporting._page import Picture, Section, Table, make_table
from keras_mtl.analysis._reporting._pictures import make_picture
from keras_mtl.analysis._reporting._read_tables import to_file_name

_MOST_COLUMNS = 16
_DIRECTED = ("affinity", "benefit", "marginal", "transfer", "TransferMatrix", "first order")
_NO_MATRICES = {"covariance"}  # whose units differ from pair to pair


def make_relations(relations: Any) -> Section:
    """Returns the section of relations and groups.

    Args:
        relations: A result of `analysis`, a matrix by task, or a dict of either by title.
    """
    named = relations if _is_named(relations) else {"": relations}
    parts: list[Any] = []
    for title, result in named.items():
        if isinstance(result, LabelRelations):
            parts.extend(_list_label_relations(str(title), result))
        elif isinstance(result, Relation):
            parts.append(_picture_of_relation(str(title), result))
        elif isinstance(result, TaskGroups):
            parts.extend(_list_groups(str(title), result))
        else:
            parts.extend(_list_matrices(str(title), result))
    return Section("relations", "Relations and groups of tasks", tuple(parts))


def picture_of_matrix(
    title: str, tasks: tuple[str, ...], values: FloatArray, table: Table | None = None
) -> Picture:
    """Returns a heat map with its numbers."""
    directed = any(word in title for word in _DIRECTED)
    figure = figures.matrix(values, tasks, measure=title, directed=directed)
    sentence = (
        f"{title}: one cell for each pair of tasks, similar tasks side by side; hatched cells "
    )
    sentence += "have no value."
    if directed:
        sentence += (
            " Rows are the tasks that help or harm, columns those that are helped or harmed."
        )
    table = table or _table_of_matrix(title, tasks, values)
    return make_picture(figure, f"{title} of {len(tasks)} tasks as a heat map", sentence, table)


def _is_named(relations: Any) -> bool:
    if not isinstance(relations, Mapping):
        return False
    # A dict of dicts with the same keys inside and outside is one matrix by task.
    return not all(
        isinstance(row, Mapping) and set(row) == set(relations) for row in relations.values()
    )


def _list_label_relations(title: str, result: LabelRelations) -> list[Any]:
    kinds = [{"task": task, "kind of label": result.kinds[task]} for task in result.tasks]
    prefix = f"{title}: " if title else ""
    parts: list[Any] = [
        f"{prefix}the labels of {len(result.tasks)} tasks in {result.rows:,} rows. Labels that go "
        "together are no evidence that the tasks should share a network; they make groups worth a "
        "try."
    ]
    upper = np.triu_indices(len(result.tasks), 1)
    for relation in result.relations.values():
        if not np.isnan(relation.values[upper]).all():
            parts.append(_picture_of_relation(title, relation))
    name = "_".join(filter(None, ["relations", title and to_file_name(title), "kinds"]))
    parts.append(make_table(name, f"{prefix}Kinds of labels", kinds))
    return parts


def _picture_of_relation(title: str, relation: Relation) -> Picture | Table:
    rows = sorted(
        relation.rows,
        key=lambda row: (np.isnan(row[relation.measure]), -abs(row[relation.measure])),
    )
    cells = [
        [
            f"{row['task']}, {row['other task']}",
            to_text(row[relation.measure])
            if row[relation.measure] == row[relation.measure]
            else NONE,
            to_interval(row["lower"], row["upper"]),
            str(row["rows"]),
            to_text(row["p"] if row["p"] == row["p"] else None),
            row["missing because"] or NONE,
        ]
        for row in rows[:200]
    ]
    header = ["tasks", relation.measure, "95 % interval", "rows", "p, corrected", "missing because"]
    name = "_".join(filter(None, ["relations", to_file_name(title), relation.measure]))
    full = " ".join(filter(None, [title, relation.measure]))
    table = make_table(name, f"{full}, the strongest pairs first", rows, header=header, cells=cells)
    if relation.measure in _NO_MATRICES:
        return table
    return picture_of_matrix(full, relation.tasks, relation.values, table)


def _list_groups(title: str, groups: TaskGroups) -> list[Any]:
    records, cells = [], []
    for index, group in enumerate(groups.groups):
        served = [task for task in group if groups.servers[task] == index]
        helpers = [task for task in group if groups.servers[task] != index]
        score = float(np.mean([groups.scores[task] for task in served]))
        records.append(
            {"group": index + 1, "serves": served, "trains also": helpers, "score": score}
        )
        cells.append(
            [str(index + 1), ", ".join(served), ", ".join(helpers) or NONE, to_text(score)]
        )
    state = (
        "no other grouping has a higher one"
        if groups.is_optimal
        else (f"another grouping may have one that is up to {to_text(groups.gap)} higher")
    )
    name = "_".join(filter(None, ["groups", title and to_file_name(title)]))
    header = ["group", "serves", "trains also", "mean affinity"]
    caption = f"{title or 'Groups'}: one network for each group"
    return [
        make_table(name, caption, records, header=header, cells=cells),
        f"The mean affinity over tasks is {to_text(groups.score)}; {state} ({groups.method}).",
    ]


def _list_matrices(title: str, result: Any) -> list[Any]:
    if not dataclasses.is_dataclass(result):
        values, tasks = read_matrices(result, None, f"relations[{title!r}]")
        return [picture_of_matrix(title or "Relation", tasks, values)]
    tasks = tuple(map(str, getattr(result, "tasks", ())))
    shape = (len(tasks), len(tasks))
    parts: list[Any] = []
    for field in dataclasses.fields(result):
        values = getattr(result, field.name)
        is_matrix = isinstance(values, np.ndarray) and values.shape == shape
        if is_matrix and values.dtype.kind == "f" and not np.isnan(values).all():
            kind = type(result).__name__ if field.name == "values" else field.name.replace("_", " ")
            parts.append(picture_of_matrix(f"{title}: {kind}" if title else kind, tasks, values))
    if not parts:
        raise TypeError(
            f"relations[{title!r}] is {type(result).__name__}; expected a result of analysis with "
            "a matrix by task, or a matrix."
        )
    missing = getattr(result, "missing", None)
    if isinstance(missing, Mapping) and missing:
        parts.append([f"{task}: {reason}" for task, reason in missing.items()])
    return parts


def _table_of_matrix(title: str, tasks: tuple[str, ...], values: FloatArray) -> Table:
    name = f"relations_{to_file_name(title)}"
    if len(tasks) <= _MOST_COLUMNS:
        rows = [
            {"task": task, **dict(zip(tasks, row, strict=True))}
            for task, row in zip(tasks, values.tolist(), strict=True)
        ]
        return make_table(name, title, rows)
    array = np.where(np.eye(len(tasks), dtype=bool), np.nan, values)
    order = np.argsort(-np.abs(array), axis=None, kind="stable")[: len(tasks) * (len(tasks) - 1)]
    pairs = zip(*np.unravel_index(order, array.shape), strict=True)
    records = [
        {"task": tasks[row], "other task": tasks[column], "value": float(array[row, column])}
        for row, column in pairs
    ]
    return make_table(name, f"{title}, the strongest pairs first", records)
