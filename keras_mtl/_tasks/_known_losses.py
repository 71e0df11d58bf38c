"""The losses of Keras: what each of them reads."""

import functools
from typing import Any

import keras

from keras_mtl._keras_internals import arguments_of
from keras_mtl._tasks._function_loss import FunctionLoss
from keras_mtl._tasks._reading import Reading

_ELEMENT = Reading("element", dense=True, takes_zero=True, casts=False)
_AXIS = Reading("last axis", dense=True, takes_zero=True, casts=False)
_CLASS = Reading("last axis", sparse=True, takes_zero=True, casts=False)

_READINGS = {
    "mean_squared_error": _ELEMENT,
    "mean_absolute_error": _ELEMENT,
    "mean_absolute_percentage_error": _ELEMENT,
    "mean_squared_logarithmic_error": _ELEMENT,
    "huber": _ELEMENT,
    "log_cosh": _ELEMENT,
    "poisson": _ELEMENT,
    "hinge": _ELEMENT,
    "squared_hinge": _ELEMENT,
    "binary_crossentropy": _ELEMENT,
    # A power below 1 of a probability has an infinite derivative at 0.
    "binary_focal_crossentropy": Reading("element", dense=True, casts=False),
    "categorical_crossentropy": _AXIS,
    "categorical_focal_crossentropy": Reading("last axis", dense=True, casts=False),
    "categorical_hinge": _AXIS,
    "kl_divergence": _AXIS,
    "cosine_similarity": _AXIS,
    "sparse_categorical_crossentropy": _CLASS,
    "categorical_generalized_cross_entropy": Reading("last axis", sparse=True, casts=False),
    "ctc": Reading("example", padded=True, takes_zero=True, casts=False),
    "circle": Reading("batch", sparse=True, casts=False),
    "dice": Reading("batch", dense=True, overlap=True, casts=False),
    "tversky": Reading("batch", dense=True, overlap=True, casts=False),
}


@functools.lru_cache
def keras_classes() -> dict[Any, type[keras.losses.Loss]]:
    """Returns the classes that `keras.losses` exports, by the function that they wrap."""
    exported = [getattr(keras.losses, name) for name in sorted(dir(keras.losses))]
    classes = [value for value in exported if isinstance(value, type)]
    return {kind().fn: kind for kind in classes if kind is not keras.losses.Loss}


def function_of(loss: keras.losses.Loss) -> tuple[Any, dict[str, Any]] | None:
    """Returns the function that a loss wraps, and the arguments that the function gets.

    `None` for a loss that does more than to call a function: a user's class, or a subclass of one
    of Keras's that overrides `call`.
    """
    if isinstance(loss, FunctionLoss):
        return loss.function, loss.arguments
    if type(loss).call is keras.losses.MeanSquaredError.call:
        return loss.fn, arguments_of(loss)
    return None


def argument_of(loss: keras.losses.Loss, name: str) -> Any:
    """Returns an argument of the function that a loss wraps; `None` without that."""
    _, arguments = function_of(loss) or (None, {})
    return arguments.get(name)


def known_reading(loss: keras.losses.Loss) -> Reading | None:
    """Returns what a loss of Keras reads; `None` for a loss that is not Keras's own.

    A loss along another axis than the last is found out as a user's is, except for Dice and
    Tversky, which name the axes of their sums.
    """
    function, arguments = function_of(loss) or (None, {})
    name = getattr(function, "__name__", "")
    if function is None or getattr(keras.losses, name, None) is not function:
        return None
    reading = _READINGS.get(name)
    if reading is None or reading.overlap or arguments.get("axis", -1) == -1:
        return reading
    return None


def serialize_loss(loss: Any) -> Any:
    """Returns the configuration of a loss, or of what stands for one, with all its arguments.

    Keras forgets some of them (docs/keras_notes.md, 101): such a loss is kept as its function.
    """
    known = isinstance(loss, keras.losses.Loss) and known_reading(loss) is not None
    if known and not isinstance(loss, FunctionLoss):
        copy = type(loss).from_config(loss.get_config())
        if repr(arguments_of(copy)) != repr(arguments_of(loss)):
            loss = FunctionLoss(loss.fn, arguments_of(loss), loss.name)
    return keras.saving.serialize_keras_object(loss)
