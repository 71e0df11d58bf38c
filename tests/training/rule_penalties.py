"""Penalties and a hook for the small problem, registered for saving."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import small_problem as problem

import keras_mtl as mtl
from keras_mtl._types import Tensor
from keras_mtl.training import BatchHook, Penalty


@keras.saving.register_keras_serializable(package="tests")
class Implies(Penalty):
    """Teaches that `z` is only likely where the number `r` is high; knows nothing of labels."""

    def penalize(
        self, outputs: Mapping[str, Tensor], sample_weights: Mapping[str, Tensor]
    ) -> Tensor:
        """Computes the hinge of each row."""
        return keras.ops.relu(outputs["z"][:, 0] - outputs["r"][:, 0])

    def violation(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Returns where the probability is higher than the number."""
        return outputs["z"][:, 0] > outputs["r"][:, 0]


@keras.saving.register_keras_serializable(package="tests")
class Stay(Penalty):
    """Keeps the kernel of a layer near the values that it had when the model was made."""

    def bind(self, network: keras.Model, tasks: Sequence[mtl.Task]) -> None:
        """Remembers the kernel."""
        first = not self.bound
        super().bind(network, tasks)
        if first:
            self.start = self.add_weight(
                shape=self.kernel.shape, trainable=False, initializer="zeros", name="start"
            )
            self.start.assign(0.5 * self.kernel)

    @property
    def kernel(self) -> keras.Variable:
        """The kernel."""
        return self.network.get_layer("shared_1").kernel

    def penalize(
        self, outputs: Mapping[str, Tensor], sample_weights: Mapping[str, Tensor]
    ) -> Tensor:
        """Computes the squared distance, a scalar."""
        return keras.ops.sum(keras.ops.square(self.kernel - self.start))


@keras.saving.register_keras_serializable(package="tests")
class Doubled(BatchHook):
    """Appends noisy neighbors, further away where the network is sure of `z`."""

    def prepare(
        self,
        forward: Callable[[Any], dict[str, Tensor]],
        inputs: Any,
        labels: dict[str, Tensor],
        sample_weights: dict[str, Tensor],
        seed: Tensor,
    ) -> Any:
        """Returns twice as many rows."""
        sure = keras.ops.abs(forward(inputs)["z"] - 0.5)
        near = inputs + keras.ops.cast(sure, inputs.dtype) * self.draw_normal(inputs, seed)

        def twice(tensor: Tensor) -> Tensor:
            return keras.ops.concatenate([tensor, tensor])

        return (
            keras.ops.concatenate([inputs, near]),
            {name: twice(label) for name, label in labels.items()},
            {name: twice(weight) for name, weight in sample_weights.items()},
        )


def penalties() -> list[Penalty]:
    return [Implies(0.7, name="funnel"), Stay(0.3, name="stay")]


def model(balancer: Any, optimizer: Any = None, **options: Any) -> mtl.BalancedModel:
    """Builds and compiles a model with both penalties and the hook."""
    options = {"penalties": penalties(), "prepare": Doubled(name="doubled"), **options}
    compiled = {"run_eagerly": options.pop("run_eagerly", True)}
    compiled["jit_compile"] = options.pop("jit_compile", False)
    result = mtl.BalancedModel(problem.network(), problem.tasks(), balancer, **options)
    result.compile(optimizer or keras.optimizers.SGD(0.1), **compiled)
    return result
