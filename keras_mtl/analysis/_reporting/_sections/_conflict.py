"""Conflict of the gradients of the tasks."""

from collections.abc import Mapping
from typing import Any

from keras_mtl.analysis import figures
from keras_mtl.analysis._gradient_gramian import GradientGramian
from keras_mtl.analysis._gramian_statistics import GramianStatistics
from keras_mtl.analysis._reporting._cells import to_text
from keras_mtl.analysis._reporting._page import Section, make_table
from keras_mtl.analysis._reporting._pictures import make_picture
from keras_mtl.analysis._reporting._read_tables import to_file_name


def make_conflict(conflict: Any) -> Section:
    """Returns the section of conflict.

    Args:
        conflict: A `GramianStatistics` or `GradientGramian`, or several by contender.
    """
    named = conflict if isinstance(conflict, Mapping) else {"": conflict}
    parts: list[Any] = [
        "Tasks conflict where their gradients point in opposed directions: their cosine is below "
        "0. What hurts a task is a step against its own gradient: where its cosine with the step "
        "is below 0, the step raises its loss."
    ]
    for name, statistics in named.items():
        if isinstance(statistics, GradientGramian):
            statistics = statistics.statistics()
        if not isinstance(statistics, GramianStatistics):
            raise TypeError(
                f"conflict[{name!r}] is {type(statistics).__name__}; expected the result of "
                "`gramian_statistics` or `gradient_gramian`."
            )
        parts.extend(_list_parts(str(name), statistics))
    return Section("conflict", "Conflict of gradients", tuple(parts))


def _list_parts(name: str, statistics: GramianStatistics) -> list[Any]:
    prefix = f"{name}: " if name else ""
    rates = "; ".join(
        f"{to_text(100.0 * rate)} % of pairs and steps have a cosine below {0 - limit:g}"
        + (
            f" (random directions: {to_text(100.0 * statistics.chance_rates[limit])} %)"
            if limit in statistics.chance_rates
            else ""
        )
        for limit, rate in statistics.conflict_rates.items()
    )
    count = len(statistics.tasks)
    sentence = (
        f"{prefix}{count} tasks over {statistics.num_steps} steps behave as "
        f"{to_text(statistics.effective_tasks)} tasks with independent gradients. Cooperation is "
        f"{to_text(statistics.cooperation)}: 0 if gradients cancel, 1 if they are independent, "
        f"{count} if they are equal. {rates[:1].upper()}{rates[1:]}."
    )
    file = "_".join(filter(None, ["conflict", name and to_file_name(name)]))
    pairs = sorted(statistics.rows, key=lambda row: (row["cosine"] != row["cosine"], row["cosine"]))
    picture = make_picture(
        figures.matrix(statistics.cosines, statistics.tasks, measure="cosine of gradients"),
        f"Cosines of the gradients of {count} tasks as a heat map",
        f"{prefix}the cosine of the gradients of each pair of tasks, similar tasks side by side; "
        "hatched cells have no value.",
        make_table(f"{file}_pairs", "Pairs of tasks, the most opposed first", pairs),
    )
    return [
        sentence,
        picture,
        make_table(file, f"{prefix}each task and the step", _by_task(statistics)),
    ]


def _by_task(statistics: GramianStatistics) -> list[dict[str, Any]]:
    columns = {
        "length of its gradient": statistics.norms,
        "weight": statistics.weights,
        "cosine with the step": statistics.direction_cosines,
        "share of steps against it": statistics.harm_rates,
    }
    return [
        {
            "task": task,
            **{name: float(values[index]) for name, values in columns.items()},
            **({"missing because": statistics.missing.get(task, "")} if statistics.missing else {}),
        }
        for index, task in enumerate(statistics.tasks)
    ]
