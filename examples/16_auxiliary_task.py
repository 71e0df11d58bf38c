"""An auxiliary task that may help or disturb the main one, behind a gate.

    python examples/16_auxiliary_task.py       # half a minute on two cores

60 handwritten digits have the label of the main task; 660 have that of the auxiliary task, which
is even or odd, or with --noise a random bit. The gate lets the auxiliary task change the shared
layers while its gradient agrees with that of the main task.
"""

import argparse

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_mtl as mtl
from keras_mtl import Task

TASKS = [Task.multiclass("digit", 10), Task.binary("auxiliary")]


class GateWatch(keras.callbacks.Callback):
    """Counts the steps in which the gate is open."""

    def __init__(self):
        super().__init__()
        self.open = []

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the weight of the auxiliary task."""
        self.open.append(self.model.task_weights["auxiliary"] > 0)


def main(epochs=40, noise=False):
    """Trains the network, and returns the accuracy of the main task and the share of open steps."""
    images, digits = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(digits))
    images, digits = images[order].astype("float32") / 16, digits[order]
    bits = rng.integers(2, size=660) if noise else digits[:660] % 2

    network = mtl.architectures.hard_sharing(keras.Input((64,)), TASKS, shared=(64,), tower=())
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.GradientGate(main="digit"))
    model.compile(keras.optimizers.Adam(2e-3))
    watch = GateWatch()
    labels = {"digit": digits[:660], "auxiliary": bits}
    weights = {"digit": 1.0 * (np.arange(660) < 60), "auxiliary": np.ones(660)}
    options = {"batch_size": 66, "epochs": epochs, "callbacks": [watch]}
    model.fit(images[:660], labels, sample_weight=weights, **options)

    predicted = network.predict(images[660:])["digit"].argmax(axis=1)
    return float(np.mean(predicted == digits[660:])), float(np.mean(watch.open))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--noise", action="store_true")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    keras.config.disable_interactive_logging()
    accuracy, share = main(options.epochs, options.noise)
    print(f"accuracy {accuracy:.3f}, gate open in {share:.0%} of the steps")
