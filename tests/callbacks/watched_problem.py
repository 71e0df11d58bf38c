"""A small problem with validation data, as plain Keras and as a balanced model train it."""

import keras
import numpy as np

import keras_mtl as mtl

TASKS = [mtl.Task.binary("click"), mtl.Task.regression("price", metrics=["mae"])]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 5)).astype("float32")
Y = {
    "click": (X[:, 0] + 0.5 * RNG.normal(size=96) > 0).astype("float32"),
    "price": X[:, 1] * X[:, 2],
}
FIT = {
    "x": X[:64],
    "y": {name: labels[:64] for name, labels in Y.items()},
    "validation_data": (X[64:], {name: labels[64:] for name, labels in Y.items()}),
    "batch_size": 16,
    "shuffle": False,
    "verbose": 0,
}


def make(door: str = "balanced") -> keras.Model:
    """Returns a compiled model whose validation metrics go up and down."""
    keras.utils.set_random_seed(1)
    network = mtl.architectures.hard_sharing(keras.Input((5,)), TASKS, shared=(16,))
    optimizer = keras.optimizers.Adam(0.2)
    if door == "plain":
        network.compile(optimizer, **mtl.compile_args(TASKS))
        return network
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Uncertainty())
    model.compile(optimizer)
    return model


class Remember(keras.callbacks.Callback):
    """Remembers the weights and the logs of each epoch."""

    def on_train_begin(self, logs: object = None) -> None:
        """Forgets what it knew."""
        self.weights: list[list[np.ndarray]] = []
        self.logs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Copies the weights."""
        self.weights.append([np.array(value) for value in self.model.get_weights()])
        self.logs.append(dict(logs or {}))
