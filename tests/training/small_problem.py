"""A small problem, three tasks on four features, and its losses and gradients computed by hand.

The computations by hand use formulas, one `GradientTape` per task and NumPy, none of the package's
own losses and backward passes. The names of the tasks are not in alphabetical order, their weights
differ, and labels are missing unevenly.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import keras_mtl as mtl
from keras_mtl._types import Optimizer, Tensor
from keras_mtl.balancers import Balancer

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = dict[str, Array]
Batch: TypeAlias = tuple[Array, Arrays, Arrays]
"""Features, and labels and sample weights by task."""

Row: TypeAlias = list[NDArray[np.float64]]
"""The gradients of one loss, one array per variable."""

BATCH = 16


def tasks() -> list[mtl.Task]:
    return [mtl.Task.binary("z"), mtl.Task.multiclass("b", 3, weight=0.5), mtl.Task.regression("r")]


def network(units: int = 16) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    features = keras.layers.Dense(units, activation="tanh", name="shared_0")(x)
    features = keras.layers.Dense(units, activation="tanh", name="shared_1")(features)
    outputs = {}
    for task in tasks():
        tower = keras.layers.Dense(8, activation="tanh", name=f"{task.name}_tower")(features)
        outputs[task.name] = task.output(tower)
    return keras.Model(x, outputs)


def arrays() -> Batch:
    """Returns the features, labels and sample weights of five batches.

    All labels of `r` are missing in the second half of each batch, and in the whole third batch.
    In the first half of each batch most labels of `b` are missing.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5 * BATCH, 4)).astype("float32")
    y = {
        "z": (x[:, 0] > 0).astype("float32"),
        "b": (x[:, 1] > 0).astype("int32") + (x[:, 2] > 0),
        "r": x[:, 3].copy(),
    }
    position = np.arange(len(x)) % BATCH
    w = {name: np.ones(len(x), "float32") for name in y}
    w["r"][position >= BATCH // 2] = 0.0
    w["r"][2 * BATCH : 3 * BATCH] = 0.0
    w["b"][(position < BATCH // 2) & (rng.random(len(x)) < 0.7)] = 0.0
    return x, y, w


def dataset(batches: int = 5, rows: int = 5 * BATCH) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays()).take(rows).batch(BATCH).take(batches)


def batch(index: int = 0) -> Batch:
    """Returns one batch as arrays."""
    rows = slice(index * BATCH, (index + 1) * BATCH)
    result: Batch = keras.tree.map_structure(lambda value: value[rows], arrays())
    return result


def balanced(
    balancer: Balancer,
    network: Callable[[], keras.Model] = network,
    tasks: Callable[[], Sequence[mtl.Task]] = tasks,
    optimizer: Optimizer = None,
    **options: Any,
) -> mtl.BalancedModel:
    """Builds and compiles a model. It runs eagerly: for a few steps, tracing takes longer."""
    model = mtl.BalancedModel(network(), tasks(), balancer, **options)
    optimizer = optimizer or keras.optimizers.SGD(0.1)
    model.compile(optimizer, run_eagerly=True)
    return model


def values(variables: Iterable[Tensor]) -> Row:
    return [np.array(variable, "float64") for variable in variables]


def variables_of(model: keras.Model, prefix: str) -> list[keras.Variable]:
    """Returns the trainable variables of layers named `<prefix>` or `<prefix>_...`."""
    return [
        variable
        for layer in model.layers
        if layer.name.split("_")[0] == prefix
        for variable in layer.trainable_variables
    ]


_FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "z": lambda y, p: -y * tf.math.log(p[:, 0]) - (1 - y) * tf.math.log(1 - p[:, 0]),
    "b": lambda y, p: -tf.math.log(tf.gather(p, y, axis=1, batch_dims=1)),
    "r": lambda y, p: (p[:, 0] - y) ** 2,
}


def losses_by_hand(predictions: dict[str, Tensor], y: Arrays, w: Arrays) -> list[Tensor]:
    """Computes the unweighted losses by their formulas: means over the valid labels."""
    return [
        tf.math.divide_no_nan(
            tf.reduce_sum(_FORMULAS[task.name](y[task.name], predictions[task.name]) * weight),
            tf.reduce_sum(weight),
        )
        for task in tasks()
        for weight in [w[task.name]]
    ]


def gradients_by_hand(
    network: keras.Model,
    sources: Sequence[keras.Variable] | None,
    x: Array,
    y: Arrays,
    w: Arrays,
    at: str | None = None,
) -> list[Row]:
    """Computes each task's gradients, with one tape per task over the whole network.

    The gradients are those with respect to `sources`, or with `at`, the name of a layer, those
    with respect to that layer's output.
    """
    rows = []
    for k, task in enumerate(tasks()):
        with tf.GradientTape() as tape:
            if at is None:
                predictions = network(x, training=True)
            else:
                below, above = cut(network, at)
                sources = [below(x, training=True)]
                tape.watch(sources)
                predictions = above([sources[0], tf.constant(x)], training=True)
            loss = losses_by_hand(predictions, y, w)[k] * task.weight
        plain = [getattr(source, "value", source) for source in sources or ()]
        rows.append(tape.gradient(loss, plain, unconnected_gradients="zero"))
    return [[np.array(gradient, "float64") for gradient in row] for row in rows]


def cut(network: keras.Model, layer: str) -> tuple[keras.Model, keras.Model]:
    """Returns two networks: from the inputs to a layer's output, and from there to the outputs."""
    middle = network.get_layer(layer).output
    above = keras.Model([middle, network.input], network.output)
    return keras.Model(network.input, middle), above


def joined(rows: Iterable[Row]) -> NDArray[np.float64]:
    """Returns the Jacobian [K, n] of gradients that are lists of arrays, one list per task."""
    return np.stack([np.concatenate([entry.ravel() for entry in row]) for row in rows])


def split(direction: NDArray[np.float64], templates: Sequence[Array]) -> Row:
    """Splits a vector [n] into arrays of the shapes of `templates`; the inverse of `joined`."""
    vectors = np.split(direction, np.cumsum([array.size for array in templates])[:-1])
    return [vector.reshape(array.shape) for vector, array in zip(vectors, templates, strict=True)]


def assert_close(
    actual: Iterable[Array], expected: Iterable[Array], tolerance: float = 2e-6
) -> None:
    """Checks that arrays agree up to `tolerance` times the largest entry of each (at least 1)."""
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1, np.abs(other).max()))


def gradients_of_inputs(network: keras.Model, x: Array, y: Arrays, w: Arrays) -> Row:
    """Computes the gradients of the weighted losses with respect to the inputs, one per task."""
    rows = []
    for k, task in enumerate(tasks()):
        with tf.GradientTape() as tape:
            features = tf.constant(x)
            tape.watch(features)
            loss = losses_by_hand(network(features, training=True), y, w)[k] * task.weight
        rows.append(tape.gradient(loss, features))
    return [np.array(row, "float64") for row in rows]
