"""Which stage an epoch belongs to."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from keras_mtl.callbacks._staging._stage import Stage


class StageSchedule:
    """Counts epochs and values, and tells when a stage ends.

    Args:
        stages: The stages.

    Attributes:
        starts: The epochs at which the stages so far began.
        values: For each stage so far, the watched value of its epochs.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = stages
        self.starts: list[int] = [0]
        self.values: list[list[float]] = [[]]

    @property
    def index(self) -> int:
        """The number of the present stage, from 0; that of all stages if the last one is over."""
        return len(self.starts) - 1

    def add(self, epoch: int, value: float) -> bool:
        """Adds an epoch with the value that its stage watches; returns whether the stage is over.

        Args:
            epoch: The epoch, from 0.
            value: The value; NaN if the stage watches none.
        """
        self.values[-1].append(value)
        stage, length = self.stages[self.index], epoch + 1 - self.starts[-1]
        over = stage.epochs is not None and length >= stage.epochs
        if over or (stage.until is not None and self._waits(stage) >= stage.patience):
            self.starts.append(epoch + 1)
            self.values.append([])
            return True
        return False

    def _waits(self, stage: Stage) -> int:
        """Returns for how many epochs the value has not improved; NaN never improves."""
        best, waits = -math.inf, 0
        for value in self.values[-1]:
            signed = value if stage.until is not None and stage.until[1] == "max" else -value
            best, waits = (signed, 0) if signed > best else (best, waits + 1)
        return waits

    def write(self, path: Path) -> None:
        """Writes what is known to a file, as a whole or not at all."""
        beside = path.with_name(path.name + ".new")
        beside.write_text(json.dumps({"starts": self.starts, "values": self.values}))
        beside.replace(path)

    def read(self, path: Path, before: int) -> None:
        """Reads the epochs before one from a file, and counts them again."""
        values = [
            value for of_stage in json.loads(path.read_text())["values"] for value in of_stage
        ]
        for epoch, value in enumerate(values[:before]):
            self.add(epoch, value)
