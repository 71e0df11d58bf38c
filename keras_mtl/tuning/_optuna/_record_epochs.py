"""Writes the logs of each epoch to the study, and stops poor trials."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl._types import Tensor
from keras_mtl.tuning._fronts._aims import Aims
from keras_mtl.tuning._fronts._curves import Curve, average_curves
from keras_mtl.tuning._fronts._poor_trials import TaskGoals, is_poor

_EPOCH = "epoch"


class RecordEpochs(keras.callbacks.Callback):
    """Writes the validation metrics of each epoch to a trial of Optuna.

    A line per epoch stays there if the process is killed, so that epochs are counted.

    Args:
        trial: The trial.
        execution: The index of this training among those of the trial.
        aims: The objectives, whose metrics are written besides all others of validation data.
        poor: The values by which a poor trial is stopped; `None` to stop none.
    """

    def __init__(self, trial: Any, execution: int, aims: Aims, poor: TaskGoals | None) -> None:
        super().__init__()
        self.trial, self.execution, self.aims, self.poor = trial, execution, aims, poor
        self.curve: list[dict[str, float]] = []
        self.begun = 0
        self.stopped = False

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Tensor] | None = None) -> None:
        """Counts the epoch, which may end with an error."""
        self.begun += 1

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Tensor] | None = None) -> None:
        """Writes the metrics, and stops the training of a poor trial."""
        logged = {
            name: float(value) for name, value in (logs or {}).items() if name.startswith("val_")
        }
        self.trial.set_user_attr(f"{_EPOCH}/{self.execution}/{len(self.curve)}", logged)
        self.curve.append(logged)
        if self.poor is None:
            return
        if is_poor(self.curve, self._finished(), self.poor):
            self.stopped = True
            self.model.stop_training = True

    def _finished(self) -> list[Curve]:
        """Returns the curves of the same training of all complete trials."""
        trials = self.trial.study.get_trials(deepcopy=False)
        complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
        curves = [read_curves(trial.user_attrs) for trial in complete]
        return [c[self.execution] for c in curves if len(c) > self.execution]


def read_curves(attributes: Mapping[str, Any]) -> list[list[dict[str, float]]]:
    """Reads the logs of all epochs of a trial, for each of its trainings."""
    curves: dict[int, dict[int, dict[str, float]]] = {}
    for name, logs in attributes.items():
        kind, *position = name.split("/")
        if kind == _EPOCH and len(position) == 2:
            execution, epoch = map(int, position)
            curves.setdefault(execution, {})[epoch] = logs
    return [[epochs[e] for e in sorted(epochs)] for _, epochs in sorted(curves.items())]


def read_curve(attributes: Mapping[str, Any]) -> tuple[dict[str, float], ...]:
    """Reads the logs of all epochs of a trial, averaged over its trainings."""
    curves = read_curves(attributes)
    return average_curves(curves) if curves else ()
