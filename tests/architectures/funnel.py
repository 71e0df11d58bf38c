"""Impressions, some with a click and some with a purchase too; and networks by hand."""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import special

Array: TypeAlias = NDArray[np.floating[Any]]
"""Features are float32, and the results of computations by hand float64."""

SIZE, ROWS = 5, 64


def impressions() -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """Returns features and labels; conversions are NaN where there is no click."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, SIZE)).astype("float32")
    click = rng.random(ROWS) < special.expit(x[:, 0])
    converts = rng.random(ROWS) < special.expit(x[:, 1] - 0.5)
    labels = {
        "click": click.astype("float32"),
        "conversion": np.where(click, converts, np.nan).astype("float32"),
        "purchase": (click & converts).astype("float32"),
    }
    return x, labels


def value(variable: keras.Variable) -> Array:
    return np.asarray(variable, "float64")


def dense(
    network: keras.Model, name: str, x: Array, activation: Callable[[Array], Array] = lambda x: x
) -> Array:
    layer = network.get_layer(name)
    return activation(x @ value(layer.kernel) + value(layer.bias))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def tower(network: keras.Model, name: str, x: Array, depth: int = 1) -> Array:
    """Computes the output of a tower of dense layers for `x`, in float64."""
    for i in range(depth):
        x = dense(network, f"{name}_{i}", x, relu)
    return x


def probability(network: keras.Model, name: str, x: Array) -> Array:
    """Computes the probability at the end of a tower of one layer."""
    top = tower(network, f"{name}_tower", x)
    result: Array = special.expit(dense(network, f"{name}_logits", top))
    return result


def randomize(network: keras.Model) -> None:
    rng = np.random.default_rng(2)
    network.set_weights([rng.normal(size=w.shape) for w in network.get_weights()])


def predict(network: keras.Model, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    return {name: np.asarray(output) for name, output in network(x).items()}


def moved_by(network: keras.Model, bias: keras.Variable, x: NDArray[np.float32]) -> set[str]:
    """Returns the names of the outputs that change with a bias."""
    before = predict(network, x)
    bias.assign(bias.value + np.linspace(0.5, 1.0, bias.shape[0]))
    after = predict(network, x)
    return {name for name in after if np.abs(after[name] - before[name]).max() > 1e-5}
