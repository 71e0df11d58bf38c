"""What is known of a training that ended, as JSON."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from keras_mtl.studies._trainings._job import Stage

State = Literal["done", "failed"]


@dataclasses.dataclass(frozen=True)
class Training:
    """Describes one training of a study that ended.

    Args:
        contender: The name of its contender.
        network: The number of its network among those of the contender.
        tasks: The tasks of the network.
        stage: `"trial"` or `"seed"`.
        number: Its number in this stage, from 0.
        seed: Its seed.
        learning_rate: Its learning rate; `None` if the network came with an optimizer.
        weights: The weights of the tasks, if they were searched.
        hyper_parameters: The values of the hyper-parameters by name.
        state: `"done"` or `"failed"`.
        error: Why it failed.
        curves: By task, the validation metric of each epoch; NaN where it was not finite.
        best_epoch: The epoch (from 0) whose weights were kept, for the stage `"seed"`.
        scores: By task, the metric on the test rows, for metrics that Keras alone computes.
        parameters: The number of trainable parameters of the network.
        steps: The number of training steps.
        passes: The backward passes through the shared layers per step; `None` if not known.
        seconds: The time from building the network to the last prediction.

    Example:
        >>> training = Training("sharing", 0, ("click",), "trial", 0, 0, 1e-3, None, {}, "done",
        ...                     curves={"click": [0.7, 0.8]})
        >>> training.epochs, training.values(1)
        (2, {'click': 0.8})
    """

    contender: str
    network: int
    tasks: tuple[str, ...]
    stage: Stage
    number: int
    seed: int
    learning_rate: float | None
    weights: Mapping[str, float] | None
    hyper_parameters: Mapping[str, Any]
    state: State
    error: str = ""
    curves: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)
    best_epoch: int | None = None
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    parameters: int = 0
    steps: int = 0
    passes: float | None = None
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """The number of epochs that were trained."""
        return max((len(curve) for curve in self.curves.values()), default=0)

    def values(self, epoch: int) -> dict[str, float]:
        """Returns the validation metric of each task in an epoch."""
        return {task: curve[epoch] for task, curve in self.curves.items()}


def write_record(path: Path, training: Training) -> None:
    """Writes a record; a reader sees all of it or nothing."""
    write_json(path, dataclasses.asdict(training))


def read_record(path: Path) -> Training | None:
    """Reads a record; returns `None` if there is none."""
    if not path.exists():
        return None
    fields = json.loads(path.read_text())
    fields["tasks"] = tuple(fields["tasks"])
    for name in ("curves", "scores"):
        fields[name] = {task: _numbers(values) for task, values in fields[name].items()}
    return Training(**fields)


def _numbers(values: Any) -> Any:
    if isinstance(values, list):
        return [_numbers(value) for value in values]
    return math.nan if values is None else float(values)


def write_json(path: Path, content: Any) -> None:
    """Writes JSON, null for numbers that are not finite, in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")
    os.replace(new, path)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
