"""Checks of labels and sample weights that are arrays: all data at once, or one batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_mtl._tasks import Labels, Task, check_tasks
from keras_mtl.data._check_dataset import check_specs, check_values
from keras_mtl.data._elements._element import check_keys
from keras_mtl.data._elements._read_array import read_array
from keras_mtl.data._inputs._missing_path import MissingPath
from keras_mtl.data._inputs._readable_inputs import check_input_names, check_readable

_LARGEST = float(np.finfo(np.float64).max)
_Arrays = dict[str, npt.NDArray[Any]]


class ArrayCheck:
    """Checks labels and sample weights that are arrays, as `check_dataset` does a dataset's.

    Arrays are read once and not copied. Shapes and dtypes that have passed are not looked at
    again, so that batch after batch costs little.

    Args:
        tasks: The tasks of the network.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = check_tasks(tasks)
        self._names = {task.name for task in self._tasks}
        # Labels that a loss reads together have rules beyond their range.
        self._apart = {
            task.name
            for task in self._tasks
            if task.labels is not None
            and not task.labels.one_hot
            and not task.labels.time_to_event
            and (task.reading is None or task.reading.reads == "element")
        }
        self._passed: set[Any] = set()

    def __call__(self, y: Any, sample_weight: Any = None, rows: int | None = None) -> None:
        """Checks labels and sample weights, dicts of arrays by task.

        Args:
            y: Labels by task, of all tasks.
            sample_weight: Weights by task, of all tasks; or `None`.
            rows: The number of examples, if it is known.

        Raises:
            ValueError: If they do not fit the tasks. The message names the task.
        """
        if rows == 0:
            raise ValueError("there are no examples; expected at least one.")
        labels = self._read("y", y, "label")
        weights = {}
        if sample_weight is not None:
            weights = self._read("sample_weight", sample_weight, "sample weight")
        self._check_rows(labels, weights, rows)
        layout = tuple((array.dtype, array.shape[1:]) for array in labels.values())
        layout += tuple((array.dtype, array.shape[1:]) for array in weights.values())
        if layout not in self._passed:
            check_specs(self._tasks, _specs(labels), _specs(weights))
            self._passed.add(layout)
        self.check_values(labels, weights)

    def _read(self, argument: str, entries: Any, kind: str) -> _Arrays:
        """Returns the arrays of a dict by task."""
        names = [task.name for task in self._tasks]
        # docs/keras_notes.md, F2; keras#20596
        if not isinstance(entries, Mapping):
            raise ValueError(
                f"{argument} must be a dictionary by task with the keys {names}; received "
                f"{type(entries).__name__}. " + _cure(argument, entries, names)
            )
        if entries.keys() != self._names:
            check_keys(entries, self._tasks, kind, complete=True)
        nouns = "labels" if kind == "label" else "sample weights"
        return {name: read_array(entries[name], f"task {name!r}: {nouns} are") for name in names}

    def _check_rows(self, labels: _Arrays, weights: _Arrays, rows: int | None) -> None:
        """Checks that all arrays have one entry per example; Keras's message names none."""
        for arrays, kind in ((labels, "labels"), (weights, "sample weights")):
            for name, array in arrays.items():
                if not array.ndim:
                    raise ValueError(
                        f"task {name!r}: {kind} have shape (); expected (None,), the first axis is "
                        "the batch."
                    )
                rows = len(array) if rows is None else rows
                if len(array) != rows:
                    raise ValueError(
                        f"task {name!r}: there are {len(array)} {kind} for {rows} examples; "
                        "expected one entry per example."
                    )

    def check_values(
        self, labels: Mapping[str, Any], weights: Mapping[str, Any], batch: str = ""
    ) -> None:
        """Checks the values of labels and weights, arrays of all tasks whose layout is right.

        Args:
            labels, weights: By task.
            batch: The batch that they are from, for the message, such as `"batch 3"`.
        """
        try:
            self._check_values(labels, weights)
        except ValueError as error:
            if not batch:
                raise
            raise ValueError(f"{error} (Seen in {batch}.)") from None

    def _check_values(self, labels: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
        for name, array in weights.items():
            if not np.isfinite(array).all():
                raise ValueError(
                    f"task {name!r}: a sample weight is NaN or infinite; expected finite numbers, "
                    "0 where there is no label."
                )
        doubtful = [
            task
            for task in self._tasks
            if task.labels is not None
            and not (
                task.name in self._apart
                and _plainly_right(task.labels, np.asarray(labels[task.name]))
            )
        ]
        check_values(doubtful, labels, weights or None)


def check_arrays(
    x: Any,
    y: Any,
    sample_weight: Any,
    tasks: Sequence[Task],
    *,
    network: keras.Model | None = None,
) -> None:
    """Refuses arrays that would fail in training, or spoil the training silently.

    `BalancedModel` checks all that it receives in this way. With plain Keras, call it yourself
    before `network.fit(x, y)`, and `check_dataset` before `network.fit(dataset, shuffle=False)`.
    Arrays are looked at once and not copied.

    Args:
        x: Inputs, as `network.fit` takes them: arrays, tensors, SciPy's sparse matrices and frames
            of pandas, also in lists and dictionaries. An error says which of them Keras cannot
            read.
        y: Labels by task, `{name: array}`, with exactly the names of the tasks.
        sample_weight: Weights by task, likewise; or `None`.
        tasks: The tasks of the network.
        network: The functional network that takes the inputs. They must then be finite, unless a
            layer of it fills gaps, as that of `data.tabular_encoder(missing=...)` does. Defaults to
            `None`: the values of inputs are not read.

    Raises:
        ValueError: If Keras cannot read an array; if a label has no task or a task no label; if
            labels have the wrong shape, number or dtype, are out of range or NaN; if weights are
            not finite; if inputs are not. The message names the task, or the input and its columns.

    Example:
        >>> from keras_mtl import Task
        >>> tasks = [Task.binary("click"), Task.regression("price")]
        >>> y = {"click": np.array([0, 1]), "price": np.array([1.5, np.nan])}
        >>> check_arrays(np.zeros((2, 3)), y, None, tasks)
        Traceback (most recent call last):
            ...
        ValueError: task 'price': a label is NaN and has a weight, ...
    """
    check_readable(x)
    if network is not None:
        check_input_names(network, x)
    ArrayCheck(tasks)(y, sample_weight, rows_of(x))
    if network is not None:
        MissingPath(network).check(x)


def rows_of(x: Any) -> int | None:
    """Returns the number of rows of the first input; `None` if it has no shape."""
    for leaf in tf.nest.flatten(x):
        shape = getattr(leaf, "shape", None)
        return int(shape[0]) if shape and shape[0] is not None else None
    return None


def _plainly_right(expected: Labels, values: npt.NDArray[Any]) -> bool:
    """Tells in two passes that labels are right; if not, the rules tell what is wrong, if anything.

    Labels are all of them right if even those without weight are. NaN is in no range.
    """
    if not values.size:
        return True
    low = -_LARGEST if expected.low is None else expected.low
    high = _LARGEST if expected.high is None else expected.high
    # Python's floats: NumPy would cast the bounds to the dtype of the labels.
    if not (low <= float(values.min()) and float(values.max()) <= high):
        return False
    whole = values.dtype.kind != "f" or not expected.integer
    return whole or bool((values == np.rint(values)).all())


def _specs(arrays: _Arrays) -> dict[str, tf.TensorSpec]:
    return {
        name: tf.TensorSpec(array.shape, tf.as_dtype(array.dtype)) for name, array in arrays.items()
    }


def _cure(argument: str, entries: Any, names: Sequence[str]) -> str:
    """Returns what to pass instead of something that is no dictionary."""
    if hasattr(entries, "columns"):
        return f"Pass {{name: frame[name] for name in {list(names)}}}."
    if argument == "sample_weight":
        return (
            "To weigh the examples alike for all tasks, pass "
            f"{{{', '.join(f'{name!r}: weights' for name in names)}}}."
        )
    return "Keras would bind a list to the tasks in alphabetical order."
