"""Hooks of Keras's trainer and optimizers."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_mtl._types import Tensor


class PreparedModel(keras.Model):
    """Leaves out Keras's symbolic step, because `compile` makes all variables.

    Keras makes the variables of the optimizer and of metrics in a symbolic step before the first
    one. That step knows neither pairs of batches nor added inputs, and fails over several workers
    ("Attempt to convert a value (PerReplica...)": docs/keras_notes.md, F9; keras#20585). A step
    that makes variables is also traced twice (docs/keras_notes.md, pain 65).
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Builds nothing: `compile` has made all variables."""


def make_step_variables(model: keras.Model) -> None:
    """Makes the variables that Keras makes in the first step, as far as they are known before it.

    TensorFlow traces a step that makes variables twice (docs/keras_notes.md, pain 65). They are
    those of the optimizer and the means of the losses by output; the latter only if the losses are
    objects, since names may depend on the labels.
    """
    if not model.built:
        return
    losses, outputs = model._compile_loss, getattr(model, "output", None)
    with model.distribute_strategy.scope():
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        if losses is None or losses.built or not isinstance(outputs, dict):
            return
        user_losses = keras.tree.flatten(losses._user_loss)
        if all(isinstance(loss, keras.losses.Loss) for loss in user_losses):
            losses.build(outputs, outputs)


def compiled_metrics(model: keras.Model) -> Any:
    """Returns the container of the metrics that `compile` was given; `None` without any."""
    return model._compile_metrics


def loss_tracker(model: keras.Model) -> keras.metrics.Mean:
    """Returns the metric that is logged as `loss`.

    A `train_step` of one's own that does not update it logs 0 (docs/keras_notes.md, pain 27;
    keras#14705).
    """
    return model._loss_tracker


def compiled_loss_weights(model: keras.Model) -> Any:
    """Returns the loss weights that `compile` was given, most often a dict by output."""
    return model._compile_loss._user_loss_weights


def slots_of(optimizer: Any, variable: keras.Variable) -> list[keras.Variable]:
    """Returns what a built optimizer keeps for a variable: moments, averages, sums of gradients.

    Keras's optimizers hold lists with an entry for each variable that they train, under names of
    their own, and nothing public lists them (docs/keras_notes.md, 131).
    """
    trained = list(optimizer._trainable_variables)
    place = next((i for i, other in enumerate(trained) if other is variable), None)
    if place is None:
        return []
    whole = {"_trainable_variables", "_variables"}
    lists = [values for name, values in vars(optimizer).items() if name not in whole]
    return [
        values[place]
        for values in lists
        if isinstance(values, list)
        and len(values) == len(trained)
        and isinstance(values[place], keras.Variable)
    ]


def resize(variable: keras.Variable, value: Any) -> None:
    """Gives a variable a value of another shape; graphs that were traced keep the old one.

    Keras refuses to assign it, and a variable in its place would be saved at another position
    (docs/keras_notes.md, 136).
    """
    variable._shape = tuple(value.shape)
    variable._initialize(value)


def steps_so_far(optimizer: Any) -> Tensor:
    """Returns how many steps an optimizer has been given, with those whose gradients it adds up.

    `iterations` is the number of updates then (docs/keras_notes.md, 136).
    """
    return optimizer._iterations.value


def is_decayed(optimizer: Any, variable: Tensor) -> bool:
    """Returns whether an optimizer applies weight decay to a variable.

    `exclude_from_weight_decay` replaces earlier exclusions, and nothing public lists them
    (docs/keras_notes.md, pain 67).
    """
    return bool(optimizer._use_weight_decay(variable))


@contextlib.contextmanager
def scaled_rate(optimizer: Any, factor: Callable[[Sequence[Tensor]], Tensor]) -> Iterator[None]:
    """Multiplies the learning rate of an optimizer, in steps that are traced inside the context.

    Args:
        optimizer: One with a learning rate of its own.
        factor: Returns the factor of a step from its gradients.
    """
    apply_gradients = optimizer.apply_gradients

    def apply_scaled(pairs: Any, *arguments: Any, **options: Any) -> Any:
        pairs = list(pairs)
        scale = factor([gradient for gradient, _ in pairs])
        rate = optimizer._get_current_learning_rate
        optimizer._get_current_learning_rate = lambda: keras.ops.multiply(rate(), scale)
        try:
            return apply_gradients(pairs, *arguments, **options)
        finally:
            del optimizer._get_current_learning_rate

    optimizer.apply_gradients = apply_scaled
    try:
        yield
    finally:
        del optimizer.apply_gradients
