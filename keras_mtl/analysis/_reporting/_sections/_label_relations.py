"""Relations of labels: heat maps, and tables of pairs with intervals."""

import dataclasses
from typing import Any

import numpy as np

from keras_mtl.analysis._label_relations import LabelRelations
from keras_mtl.analysis._relation import Relation
from keras_mtl.analysis._reporting._cells import to_interval, to_plain, to_text
from keras_mtl.analysis._reporting._page import MOST_ROWS, Picture, Table, make_table
from keras_mtl.analysis._reporting._read_tables import to_file_name
from keras_mtl.analysis._reporting._sections._matrices import picture_of_matrix

_NAMES = {
    "pearson": "Pearson's correlation",
    "spearman": "Spearman's rank correlation",
    "phi": "phi, the correlation of two binary labels",
    "cramers_v": "Cramer's V, without bias",
    "mutual_information": "mutual information, nats",
}


def list_label_relations(title: str, result: LabelRelations) -> list[Any]:
    """Returns a sentence, one heat map per measure that exists, and the kinds of labels."""
    parts: list[Any] = [
        f"{_prefix(title)}{len(result.tasks)} tasks, {result.rows:,} rows. Labels that go together "
        "are no evidence that the tasks should share a network; they suggest groups that are worth "
        "a try."
    ]
    upper = np.triu_indices(len(result.tasks), 1)
    tables = []
    for relation in result.relations.values():
        if np.isnan(relation.values[upper]).all():
            continue
        if relation.measure == "covariance":  # whose units differ from pair to pair
            tables.append(_table_of_pairs(title, relation))
        else:
            parts.append(picture_of_relation(title, relation))
    kinds = [{"task": task, "kind of label": result.kinds[task]} for task in result.tasks]
    name = "_".join(filter(None, ["relations", title and to_file_name(title), "kinds"]))
    tables.append(make_table(name, f"{_prefix(title)}kinds of labels", kinds))
    if len(parts) == 1:
        return [*parts, *tables]
    # Folded with the numbers of the first measure, since both are long.
    parts[1] = dataclasses.replace(parts[1], tables=(*parts[1].tables, *tables))
    return parts


def picture_of_relation(title: str, relation: Relation) -> Picture:
    """Returns the heat map of one measure, with a table of all pairs."""
    name = _prefix(title) + _NAMES.get(relation.measure, relation.measure)
    return picture_of_matrix(
        name, relation.tasks, relation.values, _table_of_pairs(title, relation)
    )


def _table_of_pairs(title: str, relation: Relation) -> Table:
    measure = relation.measure
    rows = sorted(relation.rows, key=lambda row: (np.isnan(row[measure]), -abs(row[measure])))
    cells = [
        [
            f"{row['task']}, {row['other task']}",
            to_text(to_plain(row[measure])),
            to_interval(row["lower"], row["upper"]),
            str(row["rows"]),
            to_text(to_plain(row["p"])),
            to_text(row["missing because"]),
        ]
        for row in rows[:MOST_ROWS]
    ]
    header = ["tasks", measure, "95 % interval", "rows", "p, corrected", "missing because"]
    file = "_".join(filter(None, ["relations", title and to_file_name(title), measure]))
    caption = f"{_prefix(title)}{measure.replace('_', ' ')}, the strongest pairs first"
    return make_table(file, caption, rows, header=header, cells=cells)


def _prefix(title: str) -> str:
    return f"{title}: " if title else ""
