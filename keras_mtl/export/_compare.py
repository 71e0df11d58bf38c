"""Comparison of a network with its exports, task by task."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data import mask_missing, select_tasks
from keras_mtl.export._format_comparison import ArtifactSize, FormatComparison, MovedPrediction
from keras_mtl.export._formats._artifacts import Artifact, Source, read_artifacts
from keras_mtl.export._formats._task_scores import TaskScores
from keras_mtl.export._formats._turns import time_in_turns

_BATCH = 256


def compare(
    exports: Mapping[str, Source] | Sequence[Source],
    data: Any,
    tasks: Sequence[Task],
    *,
    tolerance: float | Mapping[str, float] | None = None,
) -> FormatComparison:
    """Compares artifacts of one network on the same data, and refuses what moves a task too far.

    The result has, per task and artifact, the score by the first metric of the task (`auc` exactly,
    by ranks), how much worse it is than that of the first artifact, the expected calibration error
    of yes-or-no tasks, and the largest and the 99.9 % change of a prediction; and per artifact its
    bytes and milliseconds.

    Choose it before you serve a quantized or trimmed artifact, on data that were not trained on:
    predictions that all move a little can leave an AUC as it was and its calibration not, and of
    several tasks one may be hurt. Not to compare networks that were trained apart: that is
    `studies.compare`, which knows the chance of seeds and rows.

    Args:
        exports: Two artifacts or more, by name or in a list; the first is the reference. Each is a
            network, a `BalancedModel`, the folder of a version (`export.saved_model`), or a file
            that ends in `.onnx` or `.tflite`.
        data: A batched `tf.data.Dataset` of `(x, y)` or `(x, y, w)`, or such a tuple of arrays. `x`
            is a dict by input, if the network has several. `y` is a dict by task, in which NaN (or
            -1, of integers) is a missing label. It is read once.
        tasks: The tasks of the network, or some of them.
        tolerance: How much worse a score may be, in units of the metric, for all tasks or by task:
            `0.001` of AUC, `{"age": 0.05}` years of MAE. Defaults to `None`: nothing is refused.

    Returns:
        A `FormatComparison`, which `print` shows as two tables.

    Raises:
        ValueError: If an artifact moves a task beyond its tolerance (the message names both, and
            ends with the tables); also if `tolerance` names no task, a task with a tolerance has
            no labels in the data, or artifacts and data do not fit.

    Example:
        >>> import tempfile
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,), name="user"), tasks)
        >>> folder = mtl.export.saved_model(network, tasks, tempfile.mkdtemp() + "/shop/1")
        >>> random = np.random.default_rng(0)
        >>> users = random.normal(size=(500, 4)).astype("float32")
        >>> labels = {"click": random.integers(0, 2, 500), "price": users[:, 0]}
        >>> exports = {"network": network, "ONNX": mtl.export.onnx(folder)}
        >>> result = compare(exports, (users, labels), tasks, tolerance=0.001)
        >>> result.rows[1].artifact, result.rows[1].largest_change < 1e-6
        ('ONNX', True)
    """
    tasks = check_tasks(tasks)
    allowed = _read_tolerance(tolerance, tasks)
    artifacts = read_artifacts(exports)
    scores = {(task.name, a.name): TaskScores(task) for task in tasks for a in artifacts}
    num_rows, timed = 0, None
    for inputs, labels, weights in _batches(data, tasks):
        timed = inputs if timed is None else timed
        num_rows += len(next(iter(labels.values())))
        predictions = {a.name: _predict(a, inputs, tasks) for a in artifacts}
        reference = predictions[artifacts[0].name]
        for (task, name), of_pair in scores.items():
            prediction = predictions[name][task]
            of_pair.add(labels[task], weights[task], prediction, reference[task])
    if timed is None:
        raise ValueError("data hold no rows; expected at least one batch.")
    times = time_in_turns(artifacts, timed)
    result = FormatComparison(
        tuple(_make_rows(tasks, artifacts, scores)),
        tuple(
            ArtifactSize(a.name, a.kind, a.bytes, ms)
            for a, ms in zip(artifacts, times, strict=True)
        ),
        num_rows,
        len(tf.nest.flatten(timed)[0]),
        allowed,
    )
    _refuse_moved(result)
    return result


def _read_tolerance(
    tolerance: float | Mapping[str, float] | None, tasks: Sequence[Task]
) -> dict[str, float]:
    names = [task.name for task in tasks]
    if tolerance is None:
        return {}
    by_task = tolerance if isinstance(tolerance, Mapping) else dict.fromkeys(names, tolerance)
    unknown = sorted(set(by_task) - set(names))
    if unknown:
        raise ValueError(f"tolerance names {unknown}; the tasks are {names}.")
    wrong = {name: value for name, value in by_task.items() if not 0 <= value < math.inf}
    if wrong:
        raise ValueError(f"a tolerance is a number of at least 0; received {wrong}.")
    return dict(by_task)


def _batches(data: Any, tasks: Sequence[Task]) -> Any:
    """Returns inputs, labels and weights of each batch, as arrays."""
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        data = tf.data.Dataset.from_tensor_slices(tuple(data)).batch(_BATCH)
    if not isinstance(data, tf.data.Dataset):
        raise TypeError(
            "data must be a batched tf.data.Dataset or a tuple of arrays, (x, y) or (x, y, w); "
            f"received a {type(data).__name__}."
        )
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the dataset is infinite; pass it as it is before .repeat().")
    return mask_missing(select_tasks(data, tasks), tasks).as_numpy_iterator()


def _predict(artifact: Artifact, inputs: Any, tasks: Sequence[Task]) -> Mapping[str, Any]:
    try:
        predictions = artifact.predict(inputs)
    except ValueError as error:
        raise ValueError(f"artifact {artifact.name!r}: {error}") from error
    missing = [task.name for task in tasks if task.name not in predictions]
    if missing:
        raise ValueError(
            f"artifact {artifact.name!r} has no outputs for the tasks {missing}; it has "
            f"{sorted(predictions)}."
        )
    return {
        task.name: np.asarray(predictions[task.name]).astype("float32", copy=False)
        for task in tasks
    }


def _make_rows(
    tasks: Sequence[Task],
    artifacts: Sequence[Artifact],
    scores: Mapping[tuple[str, str], TaskScores],
) -> Any:
    """Yields the rows of the table."""
    for task in tasks:
        of_reference = scores[task.name, artifacts[0].name].results()["score"]
        for artifact in artifacts:
            pair = scores[task.name, artifact.name]
            results = pair.results()
            step = results["score"] - of_reference
            worse_by = abs(step) if pair.mode is None else -step if pair.mode == "max" else step
            yield MovedPrediction(
                task.name, artifact.name, pair.metric_name, worse_by=worse_by, **results
            )


def _refuse_moved(result: FormatComparison) -> None:
    """Checks that no task is moved beyond its tolerance."""
    reference = result.artifacts[0].name
    unlabeled = [
        row.task
        for row in result.rows
        if row.artifact == reference and row.task in result.tolerance and math.isnan(row.score)
    ]
    if unlabeled:
        raise ValueError(
            f"task(s) {unlabeled} have a tolerance and no labels in the data, so that nobody knows "
            "whether they are hurt; leave them out of tolerance, or pass labels."
        )
    if result.moved:
        row = max(result.moved, key=lambda row: (math.isinf(row.largest_change), row.worse_by))
        lost = (
            "predicts NaN where the reference does not"
            if math.isinf(row.largest_change)
            else f"is worse by {row.worse_by:.2g} in {row.metric}"
        )
        raise ValueError(
            f"task {row.task!r} of artifact {row.artifact!r} {lost}, and "
            f"{result.tolerance[row.task]:g} is allowed. Moved too far are "
            f"{[(row.task, row.artifact) for row in result.moved]}.\n\n{result}"
        )
