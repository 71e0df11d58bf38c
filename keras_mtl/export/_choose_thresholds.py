"""The threshold of each yes-or-no task, chosen on validation data."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_mtl._tasks import Task, Threshold, check_tasks
from keras_mtl.export._cut_scores import Costs, Numbers, best_cut, check_metric, flatten


def choose_thresholds(
    model: keras.Model,
    data: Any,
    tasks: Sequence[Task],
    *,
    metric: str = "f1",
    costs: Costs | Mapping[str, Costs] | None = None,
    per_column: bool = False,
) -> tuple[Task, ...]:
    """Chooses for each yes-or-no task the threshold that is best on validation data.

    Above its threshold a probability counts as yes. All cuts between two neighboring predictions
    are tried, so the choice is exact on this data. Choose data that the model was not trained
    on: on training data the threshold is too sure of itself. A threshold that was chosen scores a
    little better on the same data than on new ones; report its score on test data.

    Args:
        model: A trained `BalancedModel` or network whose outputs are a dict by task.
        data: A batched, finite `tf.data.Dataset` or a `keras.utils.PyDataset` of `(x, y)` or
            `(x, y, w)`, or a tuple of arrays. Labels that are NaN or have weight 0 do not count;
            others count with their weight.
        tasks: The tasks of the model. Those without yes-or-no labels are returned as they are.
        metric: `"f1"`, `"youden"` (sensitivity + specificity - 1, which balanced accuracy orders
            alike), `"mcc"`, `"accuracy"`, or `"cost"`, which is the least total cost. Defaults to
            `"f1"`.
        costs: For `"cost"`, the cost of a false yes and of a false no, or a dict of these by task.
        per_column: Whether a task with several labels per example gets one threshold for each of
            them, chosen on the labels of this column alone. Choose it where their rates differ;
            each column needs labels enough. Defaults to `False`: one for all labels together.

    Returns:
        The tasks, with `Task.threshold`. Metrics by name (`f1`, `mcc`, `accuracy`,
        `balanced_accuracy`, `precision`, `recall`) of a model that is compiled with them use it,
        and `export.saved_model` serves a decision beside each probability. Of equally good cuts
        it is the one nearest to 0.5. It is a float, or a tuple with one per column.

    Raises:
        TypeError: If the data or the outputs of the model are of another kind.
        ValueError: If no task has yes-or-no labels, a task (or a column of it) has no label or
            labels of one value only, or metric or costs are unknown.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("rare"), mtl.Task.regression("age")]
        >>> inputs = keras.Input((1,))
        >>> rate = keras.layers.Identity(name="rare")(inputs)
        >>> network = keras.Model(inputs, {"rare": rate, "age": keras.layers.Dense(1)(inputs)})
        >>> x = np.array([[0.1], [0.2], [0.3], [0.4]])
        >>> y = {"rare": np.array([0, 0, 1, 1]), "age": np.zeros(4)}
        >>> round(choose_thresholds(network, (x, y), tasks)[0].threshold, 6)
        0.25
    """
    tasks = check_tasks(tasks)
    check_metric(metric, costs)
    chosen = [task for task in tasks if task.described().kind == "yes or no"]
    if not chosen:
        raise ValueError(
            f"none of the tasks {[task.name for task in tasks]} has yes-or-no labels, as "
            "Task.binary and Task.multilabel have them."
        )
    gathered: dict[str, list[npt.NDArray[Any]]] = {task.name: [] for task in chosen}
    widths: dict[str, int] = {}
    for predictions, labels, weights in _read_batches(model, data):
        for task in chosen:
            name = task.name
            logits = task.described().logits
            rows = flatten(name, predictions[name], labels[name], weights.get(name), logits=logits)
            gathered[name].append(rows)
            widths[name] = predictions[name].shape[-1]
    if not any(gathered.values()):
        raise ValueError("there are no examples; expected at least one.")
    thresholds = {
        task.name: _choose(task, np.concatenate(gathered[task.name]), metric, costs, count)
        for task, count in ((task, widths[task.name] if per_column else 1) for task in chosen)
    }
    return tuple(
        dataclasses.replace(task, threshold=thresholds[task.name])
        if task.name in thresholds
        else task
        for task in tasks
    )


def _choose(
    task: Task,
    rows: Numbers,
    metric: str,
    costs: Costs | Mapping[str, Costs] | None,
    num_cuts: int,
) -> Threshold:
    """Returns the best cut of a task, or the best cuts of its columns."""
    of_task, what = _costs_of(task.name, costs), f"task {task.name!r}"
    if num_cuts == 1:
        return best_cut(what, rows, metric, of_task)
    return tuple(
        best_cut(f"{what}, column {column!r}", rows[rows[:, 3] == place], metric, of_task)
        for place, column in enumerate(task.columns or range(num_cuts))
    )


def _read_batches(
    model: keras.Model, data: Any
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """Yields predictions, labels and weights by task.

    Raises:
        TypeError: If they are not dicts by task.
    """
    is_stream = isinstance(data, tf.data.Dataset | keras.utils.PyDataset)
    for batch in _split(data):
        is_data = isinstance(batch, tuple | list) and len(batch) in (2, 3)
        labels = batch[1] if is_data else None
        weights = batch[2] if is_data and len(batch) == 3 and batch[2] is not None else {}
        if not isinstance(labels, Mapping) or not isinstance(weights, Mapping):
            raise TypeError(
                "expected a tf.data.Dataset, a keras.utils.PyDataset or arrays, of (x, y) or "
                "(x, y, w) with y and w dicts by task; received "
                f"a {type(batch).__name__}."
            )
        x = batch[0]
        if not any(np.size(values) for values in labels.values()):
            continue  # `predict` breaks on no rows
        predictions = model.predict_on_batch(x) if is_stream else model.predict(x, verbose=0)
        if not isinstance(predictions, Mapping):
            raise TypeError(
                "the outputs of the model must be a dict from task name to prediction; received a "
                f"{type(predictions).__name__}."
            )
        yield predictions, labels, weights


def _split(data: Any) -> Iterator[Any]:
    """Yields the batches of data; arrays are one batch."""
    if isinstance(data, tf.data.Dataset):
        if data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError("the dataset is infinite; pass it as it is before .repeat().")
        yield from data
    elif isinstance(data, keras.utils.PyDataset):
        if data.num_batches is None:
            raise ValueError("the data are infinite; pass a finite part of them.")
        for index in range(data.num_batches):
            yield data[index]
    else:
        yield data


def _costs_of(name: str, costs: Costs | Mapping[str, Costs] | None) -> Costs | None:
    """Returns the costs of a task.

    Raises:
        ValueError: If it has none, or they are not two numbers above 0.
    """
    if costs is None:
        return None
    of_task = costs.get(name) if isinstance(costs, Mapping) else costs
    if of_task is None or np.shape(of_task) != (2,) or not np.min(of_task) > 0:
        raise ValueError(
            f"task {name!r}: costs are two numbers above 0, of a false yes and of a false no; "
            f"received {of_task!r}."
        )
    return of_task
