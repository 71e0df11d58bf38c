"""Two sensors that fail: rows without any, and how much each of them should count.

    python examples/30_failing_sensors.py        # a minute on two cores

The top and the bottom half of handwritten digits stand for two sensors, of which each fails in
three of ten rows, so that about one row of eleven has neither. Such rows can be left to teach what
is usual (a log loss of 2.30 at best), be masked, or be made by dropout. Then both sensors work, the
bottom one with noise, and gradient blending weighs the losses of three heads: here it helps none.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

import keras_mtl as mtl
from keras_mtl import Task, data

DIGIT = [Task.multiclass("digit", 10)]
HALVES, FLAGS = ("top", "bottom"), ["top_present", "bottom_present"]
HEADS = [Task.multiclass(name, 10) for name in ("top", "bottom", "both")]


def make_rows():
    """Returns the halves of all images with their flags, and the digits."""
    rng = np.random.default_rng(0)
    images, digits = load_digits(return_X_y=True)
    order = rng.permutation(len(digits))
    images = images[order].astype("float32") / 16
    flags = {flag: (rng.random(len(digits)) > 0.3).astype("float32") for flag in FLAGS}
    return {"top": images[:, :32], "bottom": images[:, 32:]} | flags, digits[order]


def score_of_nothing(rows, digits, epochs, masks=False, of_all=0.0):
    """Returns the accuracy where a sensor works, and the log loss where none does."""
    inputs = {half: keras.Input((32,), name=half) for half in HALVES}
    inputs |= {flag: keras.Input((), name=flag) for flag in FLAGS}
    network = mtl.architectures.multimodal(inputs, DIGIT, dropout_of_all=of_all)
    train = {name: values[:700] for name, values in rows.items()}, {"digit": digits[:700]}
    train = tf.data.Dataset.from_tensor_slices(train).batch(100)
    model = mtl.BalancedModel(network, DIGIT, mtl.balancers.Equal())
    model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=7)
    model.fit(data.mask_without_modality(train, DIGIT, FLAGS) if masks else train, epochs=epochs)
    test = {name: values[700:] for name, values in rows.items()}
    shares = network.predict(test)["digit"]
    works = test["top_present"] + test["bottom_present"] > 0
    right = shares.argmax(axis=1) == digits[700:]
    chances = shares[np.arange(len(works)), digits[700:]]
    return float(right[works].mean()), float(-np.log(chances[~works]).mean())


def score_of_heads(rows, digits, weights, noise, epochs):
    """Returns the accuracy of the head that reads both halves, and the losses of all heads."""
    inputs = {half: keras.Input((32,), name=half) for half in HALVES}
    parts = {half: keras.layers.Dense(64, activation="relu")(inputs[half]) for half in HALVES}
    parts["both"] = keras.layers.Concatenate()([*parts.values()])
    heads = {task.name: task.head(parts[task.name], task.name) for task in HEADS}
    network = keras.Model(inputs, heads)
    noises = np.random.default_rng(0).normal(0, noise, rows["bottom"].shape)
    x = {"top": rows["top"], "bottom": rows["bottom"] + noises}
    sets = [
        ({half: x[half][part] for half in HALVES}, dict.fromkeys(weights, digits[part]))
        for part in (slice(0, 300), slice(300, 700), slice(700, None))
    ]
    model = mtl.BalancedModel(network, HEADS, mtl.balancers.Fixed(weights))
    model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=3)
    logs = model.fit(*sets[0], batch_size=100, epochs=epochs, validation_data=sets[1]).history
    right = network.predict(sets[2][0])["both"].argmax(axis=1) == digits[700:]
    return float(right.mean()), logs


def main(epochs=60):
    """Prints both tables."""
    keras.config.disable_interactive_logging()
    rows, digits = make_rows()
    ways = {"seen": {}, "masked": {"masks": True}, "dropout": {"masks": True, "of_all": 0.05}}
    for way, options in ways.items():
        keras.utils.set_random_seed(0)
        accuracy, loss = score_of_nothing(rows, digits, epochs, **options)
        print(f"rows without sensors {way:8} accuracy {accuracy:.3f}, log loss without {loss:.3f}")
    for noise in (0.0, 1.0):
        weights, scores = dict.fromkeys(("top", "bottom", "both"), 1.0), []
        for _ in range(2):
            keras.utils.set_random_seed(0)
            accuracy, logs = score_of_heads(rows, digits, weights, noise, epochs)
            scores.append(accuracy)
            ends = [{n: logs[f"{p}{n}_loss"][:: epochs - 1] for n in weights} for p in ("", "val_")]
            listed = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
            weights = mtl.analysis.blending_weights(*ends)
        print(f"noise {noise}: equal weights {scores[0]:.3f}, blended ({listed}) {scores[1]:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    main(parser.parse_args().epochs)
