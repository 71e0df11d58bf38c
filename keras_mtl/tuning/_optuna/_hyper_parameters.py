"""Hyper-parameters of Keras Tuner whose values Optuna proposes."""

import functools
from collections.abc import Callable
from typing import Any

import keras_tuner


class ProposedHyperParameters(keras_tuner.HyperParameters):
    """Asks a trial of Optuna for the value of each hyper-parameter when it is declared.

    So one `build(tasks, hp)` serves both engines, conditions among hyper-parameters included. A
    number on a linear or logarithmic scale is one to Optuna too. Numbers with steps on a
    logarithmic scale, and reversed scales, Optuna does not know: it proposes the share of the
    range instead.

    Args:
        trial: The trial of Optuna.
    """

    def __init__(self, trial: Any) -> None:
        super().__init__()
        self._trial = trial

    def _propose(self, declare: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Declares a hyper-parameter, and replaces its default by a proposal."""
        known, declared = len(self.space), set(self.values)
        value = declare(*args, **kwargs)
        if len(self.space) == known:
            return value  # It was declared before.
        parameter = self.space[-1]
        if parameter.name in declared or not self.is_active(parameter):
            return value
        self.values[parameter.name] = _suggest(self._trial, parameter)
        return self.values[parameter.name]

    @functools.wraps(keras_tuner.HyperParameters.Choice)
    def Choice(self, *args: Any, **kwargs: Any) -> Any:
        """Returns one of several values."""
        return self._propose(super().Choice, *args, **kwargs)

    @functools.wraps(keras_tuner.HyperParameters.Int)
    def Int(self, *args: Any, **kwargs: Any) -> Any:
        """Returns a whole number."""
        return self._propose(super().Int, *args, **kwargs)

    @functools.wraps(keras_tuner.HyperParameters.Float)
    def Float(self, *args: Any, **kwargs: Any) -> Any:
        """Returns a number."""
        return self._propose(super().Float, *args, **kwargs)

    @functools.wraps(keras_tuner.HyperParameters.Boolean)
    def Boolean(self, *args: Any, **kwargs: Any) -> Any:
        """Returns true or false."""
        return self._propose(super().Boolean, *args, **kwargs)


def _suggest(trial: Any, parameter: Any) -> Any:
    """Returns Optuna's proposal for a hyper-parameter."""
    kind = type(parameter).__name__
    if kind == "Boolean":
        return trial.suggest_categorical(parameter.name, [False, True])
    if kind == "Choice":
        return trial.suggest_categorical(parameter.name, list(parameter.values))
    is_log = parameter.sampling == "log"
    if parameter.sampling == "reverse_log" or (is_log and parameter.step is not None):
        # `prob_to_value` takes [0, 1); the largest number below 1 is a share like any other.
        share = trial.suggest_float(f"{parameter.name}/share", 0.0, 1.0)
        return parameter.prob_to_value(min(share, 1.0 - 1e-12))
    if kind == "Int":
        whole = int(parameter.min_value), int(parameter.max_value)
        return trial.suggest_int(parameter.name, *whole, step=parameter.step or 1, log=is_log)
    bounds = float(parameter.min_value), float(parameter.max_value)
    return trial.suggest_float(parameter.name, *bounds, step=parameter.step, log=is_log)
