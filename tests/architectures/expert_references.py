"""The computations of the layers of expert networks, in NumPy and float64."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
"""Features are float32, and the results of computations by hand float64."""
Activation: TypeAlias = Callable[[Array], Array]


def value(variable: keras.Variable) -> Array:
    return np.asarray(variable, "float64")


def randomize(network: keras.Model, seed: int = 2) -> None:
    """Draws all weights; variances stay positive."""
    rng = np.random.default_rng(seed)
    for variable in network.weights:
        drawn = rng.normal(size=variable.shape) / (variable.shape[0] if len(variable.shape) else 1)
        if "variance" in variable.path or "temperature" in variable.path:
            drawn = rng.uniform(0.5, 2.0, variable.shape)
        variable.assign(drawn.astype("float32"))


def draw(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def softmax(logits: Array) -> Array:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    shares: Array = weights / weights.sum(-1, keepdims=True)
    return shares


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def linear(x: Array) -> Array:
    return x


def dense(network: keras.Model, name: str, x: Array, activation: Activation = relu) -> Array:
    layer = network.get_layer(name)
    bias = value(layer.bias) if layer.use_bias else 0.0
    return activation(x @ value(layer.kernel) + bias)


def experts(
    network: keras.Model, name: str, x: Array, activation: Activation = relu
) -> list[Array]:
    """Computes the outputs of the experts of a group, one after the other, as a list."""
    layer = network.get_layer(name)
    outputs = []
    for e in range(layer.num_experts):
        y = x
        for i, kernel in enumerate(layer.kernels):
            bias = value(layer.biases[i])[e] if layer.use_bias else 0.0
            y = activation(y @ value(kernel)[:, e] + bias)
        outputs.append(y)
    return outputs


def parallel(
    network: keras.Model, name: str, branches: Sequence[Array], activation: Activation = relu
) -> list[Array]:
    """Applies to each branch of a list the dense layer of that branch."""
    layer = network.get_layer(name)
    return [
        activation(
            x @ value(layer.kernel)[:, i] + (value(layer.bias)[i] if layer.use_bias else 0.0)
        )
        for i, x in enumerate(branches)
    ]


def mixture(network: keras.Model, name: str, x: Array, outputs: Sequence[Array]) -> Array:
    """Computes the sum of experts, weighed by the softmax gate `name` over `x`."""
    gate = softmax(x @ value(network.get_layer(name).kernel))
    assert gate.shape[-1] == len(outputs)
    weighted = (gate[..., i : i + 1] * output for i, output in enumerate(outputs))
    return sum(weighted, np.zeros_like(outputs[0]))


def normalize(layer: keras.layers.Layer, x: Array) -> Array:
    """Applies batch normalization as in serving, with the moving statistics."""
    scale = value(layer.gamma) / np.sqrt(value(layer.moving_variance) + layer.epsilon)
    outputs: Array = (x - value(layer.moving_mean)) * scale + value(layer.beta)
    return outputs


def logits(network: keras.Model, task: str, x: Array, towers: int = 1) -> Array:
    for i in range(towers):
        x = dense(network, f"{task}_tower_{i}", x)
    return dense(network, f"{task}_logits", x, linear)
