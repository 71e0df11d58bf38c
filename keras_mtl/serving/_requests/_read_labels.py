"""Labels that came back, for the calibration of a task."""

from typing import Any

from keras_mtl.serving._contract import Contract
from keras_mtl.serving._requests._read_json import read_json, refuse_not_json
from keras_mtl.serving._requests._refusal import Refusal, quote
from keras_mtl.serving._settings import Limits

_KEYS = frozenset({"task", "labels", "predictions", "version"})
_MOST = 10**18


def read_labels(
    body: bytes, contract: Contract, limits: Limits
) -> tuple[int | None, str, list[Any], list[Any]]:
    """Reads `{"task": ..., "labels": [...], "predictions": [...], "version": ...}`.

    Returns:
        The version that predicted (`None` if the request does not say), the task, the labels, and
        the probabilities that were predicted for them.

    Raises:
        Refusal: If the task is none of the version or no yes-or-no task, or an entry is no number.
    """
    content, valid = read_json(body, _KEYS)
    for key in ("labels", "predictions"):
        values = content.get(key)
        if type(values) is not list or any(type(v) not in (int, float, bool) for v in values):
            raise Refusal(400, "labels", f"{key!r} must be a list of numbers.")
        if len(values) > limits.rows:
            raise Refusal(
                413, "rows", f"{key!r} has {len(values)} entries; at most {limits.rows} are read."
            )
    if not valid:
        raise refuse_not_json()
    version = content.get("version")
    if version is not None and (type(version) is not int or not 0 <= version < _MOST):
        raise Refusal(400, "labels", "'version' must be the number of the version that predicted.")
    task = content.get("task")
    if type(task) is not str or task not in contract.kinds:
        known = ", ".join(map(repr, contract.kinds))
        raise Refusal(404, "labels", f"there is no task {quote(task)}; this version has {known}.")
    if contract.kinds[task] != "yes or no":
        raise Refusal(400, "labels", f"task {task!r} is no yes-or-no task, which this is for.")
    return version, task, content["labels"], content["predictions"]
