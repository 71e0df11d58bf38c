"""One version of a model inside of a Python process, without a server of this package."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from keras_mtl.serving._batches import refusal_of, run_together, split
from keras_mtl.serving._contract import Contract
from keras_mtl.serving._requests._read_columns import columns_of, read_columns, read_rows
from keras_mtl.serving._requests._refusal import Refusal, quote
from keras_mtl.serving._requests._request import list_names, make_request
from keras_mtl.serving._runtimes._runtime import Array
from keras_mtl.serving._settings import Limits
from keras_mtl.serving._versions._version import load_version


class Predictor:
    """Answers requests from a version with a model.onnx, in this process.

    The version is verified, audited, loaded by ONNX Runtime and tried on its recorded rows; every
    request is checked as `python -m keras_mtl.serve` checks it. Neither Keras nor TensorFlow is
    imported. The methods may be called from several threads at a time. A predictor keeps the
    version that it has loaded: to change to a new one, make another predictor.

    Choose it inside of another server (KServe, BentoML, Ray Serve: `examples/servers`), in a batch
    job or in an application. Not where nothing serves yet: the command has the protocols, batches,
    metrics and exchange of versions, too.

    Args:
        folder: The folder of the version.
        limits: The bounds of a request; those of rows, numbers, ranges and strings count here.
        threads: Threads of ONNX Runtime for one request.
        public_keys: PEM files with Ed25519 keys, of which one must have signed the version.
            Defaults to none: signatures are not looked at.

    Raises:
        RefusedVersion: If the version is not whole, has no model.onnx, or fails any other step.

    Example:
        >>> Predictor("saved_models/no_such_model/1")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        keras_mtl.export._beside._refused.RefusedVersion: ...
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        limits: Limits | None = None,
        threads: int = 1,
        public_keys: Sequence[str] = (),
    ) -> None:
        self._version = load_version(pathlib.Path(folder), threads, public_keys=public_keys)
        self._limits = limits or Limits()

    @property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        """The tasks, each with the columns that it reads."""
        contract = self._version.contract
        return {
            task: columns_of(contract, _find_outputs(contract, task)) for task in contract.kinds
        }

    @property
    def columns(self) -> dict[str, tuple[str, tuple[int | None, ...]]]:
        """The columns, each with its dtype and the shape of one row (`None` is any length)."""
        columns = self._version.contract.columns.values()
        return {column.name: (column.dtype, column.shape) for column in columns}

    def predict(self, columns: Any, task: str | None = None) -> dict[str, Array]:
        """Returns predictions for some rows, by output.

        Args:
            columns: By name, an array or nested lists of shape `(rows, ...)`. Strings are `str`, or
                `bytes` in UTF-8. `None` stands for a missing number, where the network fills it;
                NaN is refused. Or a data frame with one cell per row, which holds a list where a
                row has several entries; there NaN and NA stand for missing numbers.
            task: The task, for which only the columns that it reads must be there. Further columns
                of the model are checked, and change nothing. `None` for all tasks.

        Returns:
            By output, an array of shape `(rows, ...)`: that of each task, and its decision beside
            it (`<task>_decision`) if it has one.

        Raises:
            Refusal: If anything is missing, unknown, of another type or shape, not finite or beyond
                a bound, with a sentence that names the column or the task, and without any value.
        """
        contract = self._version.contract
        outputs = _find_outputs(contract, task)
        lists = read_columns(contract, columns, outputs)
        request = make_request(contract, lists, outputs, self._limits)
        try:
            (answer,) = split([request], run_together(self._version, [request]))
        except Exception as error:  # Its text may quote a value of a column.
            raise refusal_of(error) from None
        return answer

    def predict_rows(
        self, rows: Sequence[Mapping[str, Any]], task: str | None = None
    ) -> list[dict[str, Any]]:
        """Returns the predictions for each row, in numbers and lists that JSON can hold.

        Args:
            rows: For each row, the value of each column by name.
            task: The task; `None` for all tasks. As for `predict`.

        Raises:
            Refusal: As `predict`, or if rows have different columns.
        """
        answer = self.predict(read_rows(rows, self._limits), task)
        lists = [values.tolist() for values in answer.values()]
        return [dict(zip(answer, row, strict=True)) for row in zip(*lists, strict=True)]


def _find_outputs(contract: Contract, task: str | None) -> tuple[str, ...]:
    """Returns the outputs of a task: its own, and its decision if it has one."""
    if task is None:
        return tuple(contract.outputs)
    if not isinstance(task, str) or task not in contract.kinds:
        known = list_names(contract.kinds)
        raise Refusal(404, "task", f"there is no task {quote(task)}; this version has {known}.")
    return tuple(name for name in contract.outputs if contract.tasks[name] == task)
