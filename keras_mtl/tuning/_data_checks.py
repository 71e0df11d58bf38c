"""Checks of the data of a search, and of the arguments of `fit`, before any trial."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data import check_dataset
from keras_mtl.tuning._engine import check_whole

_FIT_ARGUMENTS = {"epochs", "callbacks", "steps_per_epoch", "validation_steps", "verbose"}


def read_fit_arguments(fit_arguments: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `fit` with the defaults of a search."""
    if unknown := sorted(set(fit_arguments) - _FIT_ARGUMENTS):
        raise TypeError(
            f"Of the arguments of fit, a search takes {sorted(_FIT_ARGUMENTS)}; received {unknown}."
        )
    fit_arguments = {"epochs": 1, "verbose": 0, **fit_arguments}
    check_whole("epochs", fit_arguments["epochs"], 1)
    fit_arguments["epochs"] = int(fit_arguments["epochs"])
    callbacks = fit_arguments.get("callbacks") or []
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    return {**fit_arguments, "callbacks": list(callbacks)}


def check_data(
    tasks: Sequence[Task], train: Any, validation: Any, fit_arguments: dict[str, Any]
) -> None:
    """Checks that datasets fit the tasks and have a known length.

    Raises:
        TypeError: If one is no batched dataset of the tasks' labels.
        ValueError: If its length is unknown, if both are the same, or inside the scope of a
            strategy.
    """
    # docs/keras_notes.md, pains 49 and 80; keras-tuner#915
    if tf.distribute.has_strategy():
        raise ValueError(
            "A search cannot run inside the scope of a strategy, which Keras Tuner closes between "
            "trials: open the scope inside build(tasks), around the network and its compile."
        )
    if train is validation:
        raise ValueError(
            "train and validation are the same dataset: weights must be judged on other rows."
        )
    for name, dataset, steps in (
        ("train", train, "steps_per_epoch"),
        ("validation", validation, "validation_steps"),
    ):
        try:
            check_dataset(dataset, tasks, steps_per_epoch=fit_arguments.get(steps))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} cannot be used: {error}") from error
