"""Relations of tasks as matrices, and groups of tasks."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis._group_tasks import TaskGroups
from keras_mtl.analysis._inputs._matrices import read_matrices
from keras_mtl.analysis._label_relations import LabelRelations
from keras_mtl.analysis._relation import Relation
from keras_mtl.analysis._reporting._cells import NONE, to_text
from keras_mtl.analysis._reporting._page import Section, make_table
from keras_mtl.analysis._reporting._read_tables import to_file_name
from keras_mtl.analysis._reporting._sections._label_relations import (
    list_label_relations,
    picture_of_relation,
)
from keras_mtl.analysis._reporting._sections._matrices import picture_of_matrix


def make_relations(relations: Any) -> Section:
    """Returns the section of relations and groups.

    Args:
        relations: A result of `analysis`, a matrix by task, or a dict of either by title.
    """
    named = relations if _is_named(relations) else {"": relations}
    parts: list[Any] = []
    for title, result in named.items():
        if isinstance(result, LabelRelations):
            parts.extend(list_label_relations(str(title), result))
        elif isinstance(result, Relation):
            parts.append(picture_of_relation(str(title), result))
        elif isinstance(result, TaskGroups):
            parts.extend(_list_groups(str(title), result))
        else:
            parts.extend(_list_matrices(str(title), result))
    return Section("relations", "Relations and groups of tasks", tuple(parts))


def _is_named(relations: Any) -> bool:
    if not isinstance(relations, Mapping):
        return False
    # A dict of dicts with the same keys inside and outside is one matrix by task.
    return not all(
        isinstance(row, Mapping) and set(row) == set(relations) for row in relations.values()
    )


def _list_groups(title: str, groups: TaskGroups) -> list[Any]:
    records, cells = [], []
    for index, group in enumerate(groups.groups):
        served = [task for task in group if groups.servers[task] == index]
        helpers = [task for task in group if groups.servers[task] != index]
        score = float(np.mean([groups.scores[task] for task in served]))
        records.append(
            {"group": index + 1, "serves": served, "trains also": helpers, "score": score}
        )
        texts = [", ".join(served), ", ".join(helpers) or NONE]
        cells.append([str(index + 1), *texts, to_text(score)])
    state = (
        "no other grouping has a higher one"
        if groups.is_optimal
        else f"another grouping may have one that is up to {to_text(groups.gap)} higher"
    )
    name = "_".join(filter(None, ["groups", title and to_file_name(title)]))
    header = ["group", "serves", "trains also", "mean affinity"]
    caption = f"{title or 'Groups'}: one network for each group"
    return [
        make_table(name, caption, records, header=header, cells=cells),
        f"The mean affinity over tasks is {to_text(groups.score)}; {state} ({groups.method}). "
        "Whether groups beat one network per task is for a comparison on validation data.",
    ]


def _list_matrices(title: str, result: Any) -> list[Any]:
    if not dataclasses.is_dataclass(result):
        values, tasks = read_matrices(result, None, f"relations[{title!r}]")
        return [picture_of_matrix(title or "Relation", tasks, values)]
    tasks = tuple(map(str, getattr(result, "tasks", ())))
    parts: list[Any] = []
    for field in dataclasses.fields(result):
        values = getattr(result, field.name)
        if not isinstance(values, np.ndarray) or values.shape != (len(tasks), len(tasks)):
            continue
        if values.dtype.kind == "f" and not np.isnan(values).all():
            # A result with one matrix is named by its title or class: "transfer matrix".
            is_only = field.name == "values"
            name = type(result).__name__ if is_only else field.name
            words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).lower()
            full = f"{title}: {words}" if title and not is_only else title or words
            parts.append(picture_of_matrix(full, tasks, values))
    if not parts:
        raise TypeError(
            f"relations[{title!r}] is {type(result).__name__}; expected a result of analysis with "
            "a matrix by task, or a matrix."
        )
    missing = getattr(result, "missing", None)
    if isinstance(missing, Mapping) and missing:
        parts.append([f"{task}: {reason}" for task, reason in missing.items()])
    return parts
