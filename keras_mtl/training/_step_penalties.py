"""The penalties of a step: the gradients of those of layers, and those of `Penalty`."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._batch import Batch
from keras_mtl.training._penalty import Penalty


def gradients_of_penalty(
    model: keras.Model, tape: tf.GradientTape, penalty: Tensor | None
) -> dict[int, Tensor]:
    """Returns the gradients of the variables that a penalty reaches, by `id`."""
    if penalty is None:
        return {}
    variables = model.trainable_variables
    # Values, since a tape knows no keras.Variable (docs/keras_notes.md, pain 29).
    gradients = tape.gradient(penalty, [variable.value for variable in variables])
    pairs = zip(variables, gradients, strict=True)
    return {id(variable): gradient for variable, gradient in pairs if gradient is not None}


def added(first: Mapping[int, Tensor], second: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Returns the sums of the gradients of two penalties; a sparse one that is alone stays so."""
    sums = {**first, **second}
    for key in first.keys() & second.keys():
        sums[key] = tf.convert_to_tensor(first[key]) + tf.convert_to_tensor(second[key])
    return sums


def with_penalties(
    scalar: Tensor, of_layers: Tensor | None, of_rules: Tensor | None, replicas: Replicas
) -> Tensor:
    """Returns `loss`: a scalar of the global batch, and the penalties.

    Args:
        scalar: The scalar, which needs no factor in the logs (docs/keras_notes.md, pain 28).
        of_layers: The penalties of layers, of the global batch.
        of_rules: This replica's share of other penalties.
        replicas: The replicas of the step.
    """
    if of_layers is not None:
        scalar += of_layers
    return scalar if of_rules is None else scalar + replicas.sum(tf.stop_gradient(of_rules))


class StepPenalties:
    """Adds up the penalties of `BalancedModel(penalties=...)`, and keeps what is logged of them.

    Args:
        penalties: The penalties.
        tasks: The names of the tasks.
    """

    def __init__(self, penalties: Sequence[Penalty], tasks: Sequence[str]) -> None:
        self._penalties, self._tasks = penalties, tasks
        mean = keras.metrics.Mean
        self._values = [mean(name=f"{penalty.name}_penalty") for penalty in penalties]
        self._violations = {
            penalty.name: mean(name=f"{penalty.name}_violation")
            for penalty in penalties
            if penalty.has_violation
        }

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The mean of each penalty, and the shares of rows that break a rule."""
        return [*self._values, *self._violations.values()]

    def __call__(
        self, outputs: Mapping[str, Tensor], batch: Batch, replicas: Replicas
    ) -> Tensor | None:
        """Returns this replica's share of the penalties times their strengths; counts them.

        Args:
            outputs: The outputs for the batch, by task.
            batch: The batch.
            replicas: The replicas of the step.
        """
        pairs = [
            (penalty, mean)
            for penalty, mean in zip(self._penalties, self._values, strict=True)
            if not penalty.of_hook or batch.num_examples is not None
        ]
        if not pairs:
            return None
        # Half precision has no room for a logarithm of a probability near 0.
        outputs = {name: tf.cast(outputs[name], tf.float32) for name in self._tasks}
        weights = batch.weights_of(self._tasks)
        num_rows = replicas.sum(tf.cast(batch.size, tf.float32))  # of the global batch
        shares = []
        for penalty, mean in pairs:
            value = _checked(penalty, penalty.penalize(outputs, weights), batch)
            # Zero times a value that is not finite would not be finite.
            finite = tf.math.is_finite(value)
            known = tf.where(finite, value, tf.zeros_like(value))
            mean.update_state(tf.stop_gradient(known), sample_weight=tf.cast(finite, tf.float32))
            rows = value.shape.rank == 1
            share = tf.reduce_sum(value) / num_rows if rows else replicas.share(value)
            shares.append(penalty.strength * share)
            if penalty.has_violation:
                broken = tf.cast(penalty.violation(outputs), tf.float32)
                self._violations[penalty.name].update_state(tf.stop_gradient(broken))
        return tf.add_n(shares)


def _checked(penalty: Penalty, value: Any, batch: Batch) -> Tensor:
    """Returns the value of a penalty in float32; checks that it is `[rows]` or a scalar."""
    value = tf.cast(tf.convert_to_tensor(value), tf.float32)
    rows = keras.tree.flatten(batch.x)[0].shape[0]  # None in a graph, most often
    fits = value.shape.rank == 0 or value.shape.is_compatible_with((rows,))
    if not fits:
        raise ValueError(
            f"penalty {penalty.name!r} must return one number per row, of shape ({rows},), or a "
            f"scalar; received the shape {tuple(value.shape)}. Reduce all axes but the first."
        )
    return value


def check_penalties(penalties: Any) -> tuple[Penalty, ...]:
    """Returns penalties as a tuple; checks that they are some, and that their names differ."""
    if isinstance(penalties, Penalty):
        raise ValueError(f"penalties must be a list; received one: write [{penalties.name}].")
    checked: tuple[Penalty, ...] = tuple(penalties)
    for penalty in checked:
        if not isinstance(penalty, Penalty):
            raise ValueError(
                "penalties must be objects of classes that derive from "
                f"keras_mtl.training.Penalty; received {penalty!r}."
            )
    names = [penalty.name for penalty in checked]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"the penalties of a model must have different names; {repeated} occur more than "
            "once. Pass name=... to each of them."
        )
    return checked
