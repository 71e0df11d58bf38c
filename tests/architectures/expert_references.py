"""The computations of the layers of expert networks, in NumPy and float64."""

import numpy as np


def value(variable):
    return np.asarray(variable, "float64")


def randomize(network, seed=2):
    """Draws all weights; variances stay positive."""
    rng = np.random.default_rng(seed)
    for variable in network.weights:
        drawn = rng.normal(size=variable.shape) / (variable.shape[0] if len(variable.shape) else 1)
        if "variance" in variable.path or "temperature" in variable.path:
            drawn = rng.uniform(0.5, 2.0, variable.shape)
        variable.assign(drawn.astype("float32"))


def draw(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def softmax(logits):
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def silu(x):
    return x * sigmoid(x)


def linear(x):
    return x


def dense(network, name, x, activation=relu):
    layer = network.get_layer(name)
    bias = value(layer.bias) if layer.use_bias else 0.0
    return activation(x @ value(layer.kernel) + bias)


def experts(network, name, x, activation=relu):
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


def parallel(network, name, branches, activation=relu):
    """Applies to each branch of a list the dense layer of that branch."""
    layer = network.get_layer(name)
    return [
        activation(
            x @ value(layer.kernel)[:, i] + (value(layer.bias)[i] if layer.use_bias else 0.0)
        )
        for i, x in enumerate(branches)
    ]


def mixture(network, name, x, outputs):
    """Computes the sum of experts, weighed by the softmax gate `name` over `x`."""
    gate = softmax(x @ value(network.get_layer(name).kernel))
    assert gate.shape[-1] == len(outputs)
    return sum(gate[..., i : i + 1] * output for i, output in enumerate(outputs))


def normalize(layer, x):
    """Applies batch normalization as in serving, with the moving statistics."""
    scale = value(layer.gamma) / np.sqrt(value(layer.moving_variance) + layer.epsilon)
    return (x - value(layer.moving_mean)) * scale + value(layer.beta)


def logits(network, task, x, towers=1):
    for i in range(towers):
        x = dense(network, f"{task}_tower_{i}", x)
    return dense(network, f"{task}_logits", x, linear)
