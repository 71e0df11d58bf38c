"""Whether new rows and their predictions are still those of the reference."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_mtl.export._beside._interface import Interface, read_interface
from keras_mtl.export._beside._manifest import check_manifest
from keras_mtl.serving._drift_report import DriftReport
from keras_mtl.serving._drifting._advice import list_names
from keras_mtl.serving._drifting._columns import compare_column
from keras_mtl.serving._drifting._read import read_named
from keras_mtl.serving._drifting._tasks import CALIBRATED, compare_tasks
from keras_mtl.serving._watching._reference import Reference, read_reference


def drift(
    folder: str | os.PathLike[str],
    columns: Mapping[str, Any] | None,
    predictions: Mapping[str, Any],
    labels: Mapping[str, Any] | None = None,
) -> DriftReport:
    """Compares a log of new rows with the reference of the version that answered them.

    Per task: how far predictions are from the reference (the population stability index, PSI), and
    how far probabilities are from labels that came back (the expected calibration error, ECE), each
    beside its value by chance, and a verdict. Per column: the shares of unknown strings, missing
    values, numbers outside of the range of the reference, and non-finite numbers.

    - *drift*: 1,000 predictions or more, a PSI above .1 and above the value that any of the K tasks
      exceeds by chance in 1 % of the logs (1 % / K for each task).
    - *off*: 1,000 labels or more, an ECE above .02 and above such a value.
    - *unusual* column: 1,000 values or more, and unknown strings or missing values beyond twice the
      share of the reference and 5 % more, or over 1 % of numbers outside of its range; or any
      non-finite number.

    Alerts of a server (`configure`) have the same bounds, with the K tasks that it watches.

    Choose it for a log of a day or a week, to see what has changed and what to do. For alerts, the
    server computes the same numbers all the time (`configure` writes the rules); for one task
    without a version, see `population_stability` and `calibration_error`. It is no test of single
    columns of numbers that have moved inside of their ranges, which show as drift of the tasks that
    read them.

    Values of one row that has several of them (several columns of a task, pixels) count singly,
    though they go together: chance is larger than stated then.

    Args:
        folder: The folder of the version, in which `write_reference` has written.
        columns: The new rows, by column: arrays, lists or a data frame; `None` for none of them.
            Columns may be left out.
        predictions: What the version answered, by task, `(rows, ...)`: arrays, lists or a data
            frame. Tasks may be left out, and decisions are not looked at. Predictions that are not
            finite are counted and left out.
        labels: Labels of the same rows, by task, NaN or `None` where one has not come back:
            `(rows, ...)`, 0 or 1, numbers of classes, or one-hot rows. Of classes, the ECE is that
            of the most probable one. Labels of numbers have no calibration, and are named in
            `notes`.

    Returns:
        A report that prints itself, and writes itself as a page. It holds no value of a column.

    Raises:
        RefusedVersion: If the folder is no whole version.
        ValueError: If the version has no reference, or columns, predictions or labels do not fit
            it or each other.

    Example:
        >>> import tempfile, keras, numpy as np, keras_mtl as mtl
        >>> task = mtl.Task.binary("click")
        >>> x = keras.Input((1,), name="x")
        >>> network = keras.Model(x, {"click": task.output(x)})
        >>> folder = mtl.export.saved_model(network, [task], tempfile.mkdtemp() + "/shop/1")
        >>> rows = np.random.default_rng(0).normal(size=(2000, 1))
        >>> network.set_weights([np.ones((1, 1)), np.zeros(1)])
        >>> path = mtl.serving.write_reference(folder, {}, network.predict(rows, verbose=0))
        >>> later = rows + 1.0
        >>> report = drift(folder, {"x": later}, network.predict(later, verbose=0))
        >>> report.tasks[0].verdict
        'drift'
    """
    folder = pathlib.Path(folder)
    check_manifest(folder)
    interface = read_interface(folder)
    reference = read_reference(folder)
    if reference is None:
        raise ValueError(
            f"{folder} has no reference.json to compare with: write it with "
            "serving.write_reference(folder, columns, predictions) from validation rows."
        )
    decisions = {task.decision for task in interface.tasks.values() if task.decision}
    rows = read_named({} if columns is None else columns, "columns", interface.inputs)
    answers = read_named(predictions, "predictions", {*interface.tasks, *decisions})
    answers = {name: values for name, values in answers.items() if name in interface.tasks}
    known = read_named({} if labels is None else labels, "labels", interface.tasks)
    if without := sorted(set(known) - set(answers)):
        raise ValueError(f"labels holds {without}, whose predictions are missing.")
    if not rows and not answers:
        raise ValueError("there are neither columns nor predictions to compare.")
    tasks = compare_tasks(interface, reference.bins, answers, known)
    return DriftReport(
        str(folder.name),
        tasks,
        tuple(
            compare_column(name, interface.inputs[name], reference, values)
            for name, values in rows.items()
        ),
        tuple(_list_notes(interface, reference, set(rows), set(answers), set(known))),
    )


def _list_notes(
    interface: Interface,
    reference: Reference,
    columns: set[str],
    answered: set[str],
    labeled: set[str],
) -> list[str]:
    """Returns what was not compared, and why."""
    watched = {*reference.strings, *reference.missing, *reference.ranges}
    reasons = {
        "No predictions were received of": sorted(set(reference.bins) - answered),
        "The reference has no predictions of": sorted(answered - set(reference.bins)),
        "Watched columns that were not received:": sorted(watched - columns),
        "Columns whose usual values the reference does not hold:": sorted(columns - watched),
        "No calibration, since labels are no classes and not yes or no:": sorted(
            task for task in labeled if interface.tasks[task].kind not in CALIBRATED
        ),
    }
    return [f"{reason} {list_names(names)}." for reason, names in reasons.items() if names]
