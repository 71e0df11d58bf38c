"""The history of watched metrics as JSON, so that a run that was killed goes on."""

import json
import os
from pathlib import Path
from typing import Any

from keras_mtl.callbacks._watching._progress import Progress


def write_state(path: Path, progress: Progress) -> None:
    """Writes the history of the metrics; a reader sees the old file or the new one, never half."""
    state = {
        "logs": [metric.log for metric in progress.metrics],
        "epochs": progress.epochs,
        "values": [[row[m.task] for m in progress.metrics] for row in progress.values],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(state))
    os.replace(new, path)


def read_state(path: Path, progress: Progress, before: int) -> None:
    """Tells the history of the epochs before one to `progress`.

    Raises:
        ValueError: If the file is of other metrics.
    """
    state: dict[str, Any] = json.loads(path.read_text())
    logs = [metric.log for metric in progress.metrics]
    if state["logs"] != logs:
        raise ValueError(
            f"{str(path)!r} is the state of a run that watched {state['logs']}; this one watches "
            f"{logs}. Pass another file, or delete it."
        )
    for epoch, values in zip(state["epochs"], state["values"], strict=True):
        if epoch < before:
            tasks = (metric.task for metric in progress.metrics)
            progress.add(epoch, dict(zip(tasks, values, strict=True)))
