"""Two modalities, of which one may be missing when the network is used.

    python examples/17_missing_half.py         # half a minute on two cores

The top and the bottom half of handwritten digits stand for two sensors. In training both are
there; in use, one of them may fail.
"""

import argparse

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_mtl as mtl
from keras_mtl import Task

HALVES = ("top", "bottom")
TASKS = [Task.multiclass("digit", 10), Task.binary("is_even")]


def make_rows():
    """Returns the halves of all images with their flags, and the labels of both tasks."""
    images, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    images, digits = images[order].astype("float32") / 16, digits[order]
    inputs = {"top": images[:, :32], "bottom": images[:, 32:]}
    flags = {f"{half}_present": np.ones(len(digits), "float32") for half in HALVES}
    return inputs | flags, {"digit": digits, "is_even": (digits % 2 == 0).astype("float32")}


def main(epochs=60, dropout=0.2):
    """Trains the network on 700 rows, and returns its accuracy by the halves that are there."""
    rows, labels = make_rows()
    inputs = {half: keras.Input((32,), name=half) for half in HALVES}
    inputs |= {f"{half}_present": keras.Input((), name=f"{half}_present") for half in HALVES}
    network = mtl.architectures.multimodal(
        inputs, TASKS, encoders=dict.fromkeys(HALVES, (32,)), dropout=dropout
    )
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=7)
    train = {name: values[:700] for name, values in rows.items()}
    model.fit(train, {k: v[:700] for k, v in labels.items()}, batch_size=100, epochs=epochs)

    test = {name: values[700:] for name, values in rows.items()}
    nothing = np.zeros(len(labels["digit"]) - 700, "float32")
    cases = {
        "both": {},
        "top alone": {"bottom_present": nothing},
        "bottom alone": {"top_present": nothing},
    }
    predictions = {case: network.predict(test | flags) for case, flags in cases.items()}
    return {
        case: float(np.mean(outputs["digit"].argmax(axis=1) == labels["digit"][700:]))
        for case, outputs in predictions.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--dropout", type=float, default=0.2)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    keras.config.disable_interactive_logging()
    for case, accuracy in main(options.epochs, options.dropout).items():
        print(f"{case:<13} accuracy {accuracy:.3f}")
