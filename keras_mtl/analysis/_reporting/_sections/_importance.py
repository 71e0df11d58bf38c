"""What the inputs are worth to each task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.analysis import figures
from keras_mtl.analysis._attributions import Attributions
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._reporting._page import Picture, Section, make_table
from keras_mtl.analysis._reporting._pictures import make_picture
from keras_mtl.analysis._reporting._read_tables import to_file_name

_MOST_INPUTS = 30


def make_importance(importance: Any) -> Section:
    """Returns the section of importances.

    Args:
        importance: `Attributions` or the drops of a permutation importance; by task and input, the
            importance; a data frame with one column per task and one row per input; or a dict of
            these results by title.
    """
    is_named = isinstance(importance, Mapping) and all(
        hasattr(value, "tasks") for value in importance.values()
    )
    named = importance if is_named else {"": importance}
    pictures = tuple(_make_picture(str(title), result) for title, result in named.items())
    return Section("importance", "Importance of inputs", pictures)


def _make_picture(title: str, result: Any) -> Picture:
    values, deviations, measure = _read(result)
    tasks = list(values)
    inputs = list(dict.fromkeys(name for by_input in values.values() for name in by_input))
    records: list[dict[str, Any]] = []
    for name in inputs:
        record = {"input": name, **{task: values[task].get(name) for task in tasks}}
        for task in deviations:
            record[f"deviation of {task}"] = deviations[task][name]
        records.append(record)
    measure = ": ".join(filter(None, [title, measure]))
    sentence = (
        f"{measure[:1].upper()}{measure[1:]}: what each input is worth to each task. On top stand "
        "inputs that serve some tasks much more than the other ones."
    )
    if isinstance(result, Mapping):
        shown, scale = values, measure
    else:  # tasks have different units
        shown, scale = {task: _shares(values[task]) for task in tasks}, f"{measure}, shares"
        sentence += " Colors are shares of the sum of all inputs of a task."
    if len(inputs) > _MOST_INPUTS:
        sentence += f" Shown are the {_MOST_INPUTS} most important of {len(inputs)} inputs."
    return make_picture(
        figures.importances(shown, measure=scale),
        f"{measure} of {min(len(inputs), _MOST_INPUTS)} inputs for {len(tasks)} tasks",
        sentence,
        make_table(
            "_".join(filter(None, ["importance", title and to_file_name(title)])),
            f"{measure[:1].upper()}{measure[1:]} by input and task",
            records,
        ),
    )


_ByTask = Mapping[str, Mapping[str, float]]


def _read(result: Any) -> tuple[_ByTask, _ByTask, str]:
    """Returns the importance by task and input, its deviation, and what it is."""
    if isinstance(result, Attributions):
        values = _by_task(result.tasks, result.inputs, result.importance)
        return values, {}, "mean size of the attribution"
    if hasattr(result, "drops") and hasattr(result, "columns"):
        drops = _by_task(result.tasks, result.columns, result.drops)
        deviations = _by_task(result.tasks, result.columns, result.deviations)
        return drops, deviations, "drop of the metric without the input"
    if hasattr(result, "columns") and hasattr(result, "to_dict"):
        result = result.to_dict()
    if not isinstance(result, Mapping) or not all(
        isinstance(by_input, Mapping) for by_input in result.values()
    ):
        raise TypeError(
            f"importance is {type(result).__name__}; expected a dict by task of dicts by input, or "
            "a result of analysis."
        )
    values = {
        str(task): {str(name): float(value) for name, value in by_input.items()}
        for task, by_input in result.items()
    }
    return values, {}, "importance"


def _by_task(tasks: Sequence[str], inputs: Sequence[str], values: FloatArray) -> _ByTask:
    return {
        task: dict(zip(inputs, column, strict=True))
        for task, column in zip(tasks, values.T.tolist(), strict=True)
    }


def _shares(values: Mapping[str, float]) -> dict[str, float]:
    total = float(np.nansum([max(value, 0.0) for value in values.values()]))
    return {name: value / total if total else 0.0 for name, value in values.items()}
