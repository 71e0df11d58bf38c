"""One step of a model's optimizer, taken back."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._replicas import current_replicas
from keras_mtl._types import Tensor
from keras_mtl.analysis._probing._graph import in_graph
from keras_mtl.training._gradients import loss_scale_of
from keras_mtl.training._optimizer import as_on_one_device, inner_optimizers


class LookAhead:
    """Takes steps of a model's own optimizer, and takes each of them back.

    The moments, schedules, clipping and decay of the optimizer are its own, since its own
    `apply` takes the step: nothing here knows how any optimizer works. Before the step all its
    variables and those of the model are copied, and afterwards they get the copies.

    Args:
        model: A compiled model.
        shared: The variables that the steps change; all others stay, and so do their moments.

    Raises:
        ValueError: If the model is not compiled, or the optimizer gathers gradients over steps.
    """

    def __init__(self, model: keras.Model, shared: Sequence[keras.Variable]) -> None:
        self.optimizer = _optimizer_of(model)
        self._strategy: tf.distribute.Strategy = model.distribute_strategy
        self._shared = list(shared)
        if not self.optimizer.built:
            with self._strategy.scope():
                self.optimizer.build(model.trainable_variables)
        variables = [*model.trainable_variables, *self.optimizer.variables]
        self._variables = list({id(variable): variable for variable in variables}.values())
        self._step: Callable[[list[Tensor]], list[Tensor]] = in_graph(self._step_in_graph)

    def __call__(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Returns the values of the shared variables after a step, which is taken back.

        Args:
            gradients: One for each shared variable, without loss scaling.
        """
        with self._strategy.scope():
            return self._step(list(gradients))

    def _step_in_graph(self, gradients: list[Tensor]) -> list[Tensor]:
        before = self._copies()

        def apply() -> None:
            # As the engine hands gradients to the optimizer: with loss scaling, shared out over
            # replicas, and clipped after they are added up.
            scale = loss_scale_of(self.optimizer, current_replicas())
            # New tensors on each replica: one tensor for all of them cannot be added up.
            row = scale.for_optimizer([tf.identity(gradient) for gradient in gradients])
            scaled = as_on_one_device(self.optimizer, [g.array for g in row], scale)
            self.optimizer.apply(scaled, self._shared)

        self._strategy.run(apply)
        after = [tf.identity(variable.value) for variable in self._shared]
        self._restore(before)
        return after

    def _copies(self) -> list[Tensor]:
        # `tf.identity` keeps the value when the variable is assigned.
        return [tf.identity(variable.value) for variable in self._variables]

    def _restore(self, values: Sequence[Tensor]) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Restores all variables at the end of the context, if a step has failed halfway."""
        before = self._copies()
        try:
            yield
        except BaseException:
            with self._strategy.scope():
                self._restore(before)
            raise


def optimizer_name(model: keras.Model) -> str:
    """Returns the class of a model's optimizer, such as `"Adam"`; of several, all of them."""
    return ", ".join(type(inner).__name__ for inner in inner_optimizers(model.optimizer))


def _optimizer_of(model: keras.Model) -> Any:
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        raise ValueError(
            "the model is not compiled: affinities are measured by steps of its own optimizer. "
            "Compile it as for training, with compile_args(tasks) if it is no BalancedModel."
        )
    for inner in inner_optimizers(optimizer):
        if inner.gradient_accumulation_steps:
            raise ValueError(
                f"the optimizer {inner.name!r} gathers gradients over "
                f"{inner.gradient_accumulation_steps} steps, so that most of its steps change "
                "nothing; compile the model with the same optimizer without "
                "gradient_accumulation_steps, and larger batches."
            )
    return optimizer
