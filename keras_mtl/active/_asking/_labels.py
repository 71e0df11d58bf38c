"""Labels of a pool as arrays: which are there, and how answers get in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl._tasks import Task
from keras_mtl.active._asking._distributions import BoolArray, IntArray
from keras_mtl.active._asking._questions import Question
from keras_mtl.data._check_arrays import ArrayCheck
from keras_mtl.data._elements._element import check_keys
from keras_mtl.data._elements._fill_missing import fill_missing
from keras_mtl.data._elements._numbers import read_number
from keras_mtl.data._elements._read_array import read_array

Array = npt.NDArray[Any]


class LabelStore:
    """Keeps the labels of a pool, with NaN or a sentinel for those that are missing.

    Args:
        labels: Arrays by task, `[rows, ...]`, which are copied; `None` for a task without any
            label.
        tasks: The tasks.
        rows: The number of rows.
        sentinel: What marks a missing label, as for `data.mask_missing`.

    Raises:
        ValueError: If labels do not fit the tasks.
    """

    def __init__(
        self,
        labels: Mapping[str, Any],
        tasks: Sequence[Task],
        rows: int,
        sentinel: int | Mapping[str, float],
    ) -> None:
        check_keys(labels, tasks, "label", complete=True)
        named = sentinel if isinstance(sentinel, Mapping) else {}
        check_keys(named, tasks, "sentinel", complete=False)
        self._tasks = {task.name: task for task in tasks}
        self._sentinels = {
            name: read_number(value, f"task {name!r}: the sentinel is")
            for name, value in named.items()
        }
        self._integer_sentinel = -1 if isinstance(sentinel, Mapping) else sentinel
        self.arrays: dict[str, Array] = {}
        for name, task in self._tasks.items():
            array = _blank(task, rows) if labels[name] is None else labels[name]
            self.arrays[name] = np.array(read_array(array, f"task {name!r}: labels are"))
            if len(self.arrays[name]) != rows:
                raise ValueError(
                    f"task {name!r}: there are {len(self.arrays[name])} labels for {rows} rows."
                )
            self._check(name, self.arrays[name])

    def known(self, question: Question) -> BoolArray:
        """Returns which rows have a label, `[rows]`: of a task with several, at least one."""
        _, valid = self._read(question.task.name, self.arrays[question.task.name])
        if question.column is not None:
            valid = valid[:, question.column]
        flags: BoolArray = np.asarray(valid.reshape(len(valid), -1).any(axis=1))
        return flags

    def answer(self, name: str, question: Question, rows: IntArray, values: Any) -> None:
        """Writes labels of some rows; those that are missing stay so.

        Raises:
            ValueError: If there are more or fewer than rows, or they do not fit the task.
        """
        task = question.task.name
        array = self.arrays[task]
        answers = read_array(np.asarray(values), f"the answers for {name!r} are")
        shape = (len(rows), *(() if question.column is not None else array.shape[1:]))
        if answers.shape != shape:
            raise ValueError(
                f"the answers for {name!r} must have the shape {shape}, one for each of the rows "
                f"of picks.rows(); received {answers.shape}."
            )
        if array.dtype.kind != "f" and (answers != np.rint(answers))[~np.isnan(answers)].any():
            # Whole numbers so far, and now a fraction, which a cast would cut.
            filled, valid = self._read(task, array)
            array = self.arrays[task] = np.where(valid, filled, np.nan)
        if array.dtype.kind != "f" and answers.dtype.kind == "f":
            missing = self._sentinels.get(task, self._integer_sentinel)
            answers = np.where(np.isnan(answers), missing, answers).astype(array.dtype)
        changed = array[rows]
        if question.column is None:
            changed = answers
        else:
            changed = changed.astype(np.result_type(changed, answers))
            changed[:, question.column] = answers
        self._check(task, changed)
        array[rows] = changed

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Takes all labels from a file.

        Raises:
            ValueError: If they are those of other tasks or rows.
        """
        for name, array in self.arrays.items():
            if name not in arrays or arrays[name].shape != array.shape:
                shape = arrays[name].shape if name in arrays else "no labels"
                raise ValueError(
                    f"the file has {shape} for the task {name!r}; the pool has {array.shape}."
                )
        self.arrays = {name: np.array(arrays[name]) for name in self.arrays}

    def _read(self, name: str, array: Array) -> tuple[Array, BoolArray]:
        filled, valid = fill_missing(array, self._sentinels.get(name), self._integer_sentinel)
        return filled.numpy(), valid.numpy()

    def _check(self, name: str, array: Array) -> None:
        """Checks that the labels that are not missing fit a task."""
        filled, valid = self._read(name, array)
        if len(array):
            ArrayCheck([self._tasks[name]])({name: filled}, {name: valid.astype("float32")})


def _blank(task: Task, rows: int) -> Array:
    """Returns labels of which all are missing."""
    if task.labels is None or None in task.labels.shape:
        raise ValueError(
            f"task {task.name!r} does not say which shape its labels have; pass an array of NaN, "
            "of the shape that they will have, in place of None."
        )
    shape = [rows, *(size for size in task.labels.shape if size is not None)]
    return np.full(shape, np.nan)
