"""New harbors with ten measurements each: a network that has learned to adapt.

    python examples/26_new_harbors.py       # half a minute on two cores

200 harbors have forty measurements of the tide each, a wave of its own height and its own delay in
each harbor. For a new harbor, ten measurements adapt a network: one that was trained to be adapted,
or one that was trained on the measurements of all harbors together. A figure shows one harbor.
"""

import argparse

import keras
import numpy as np
from matplotlib.figure import Figure

import keras_mtl as mtl
from keras_mtl import Task
from keras_mtl.training import MetaModel, adapt

TASK = Task.regression("tide", metrics=())
RATE = 0.01


def draw_harbors(number, rows, seed):
    """Draws measurements: times from -5 to 5, and the tides then, of each harbor."""
    rng = np.random.default_rng(seed)
    harbors = []
    for _ in range(number):
        height, delay = rng.uniform(0.1, 5), rng.uniform(0, np.pi)
        time = rng.uniform(-5, 5, (rows, 1)).astype("float32")
        harbors.append((time, {"tide": height * np.sin(time[:, 0] - delay)}))
    return harbors


def make_network():
    """Builds the network."""
    return mtl.architectures.hard_sharing(keras.Input((1,)), [TASK], shared=(40, 40), tower=())


def draw(harbor, copies, figure):
    """Draws the tide of a harbor, its ten measurements, and what both networks make of them."""
    axes = Figure(figsize=(6, 3.5), layout="constrained").subplots()
    times, tides = harbor[0][:, 0], harbor[1]["tide"]
    later = np.argsort(times[10:]) + 10
    axes.plot(times[later], tides[later], color="0.7", linewidth=4, label="tide")
    axes.plot(times[:10], tides[:10], "ko", label="measured")
    for (name, copy), style in zip(copies.items(), ("-", "--"), strict=True):
        axes.plot(times[later], np.array(copy(harbor[0][later])["tide"])[:, 0], style, label=name)
    axes.set(xlabel="time", ylabel="tide in a new harbor")
    axes.figure.legend(frameon=False, ncols=4, loc="outside upper center", fontsize=8)
    axes.figure.savefig(figure, dpi=120)


def main(steps=4000, seed=0, figure=None):
    """Trains in both ways; returns the mean squared errors in new harbors."""
    keras.utils.set_random_seed(seed)
    harbors = draw_harbors(200, 40, seed)
    meta = MetaModel(make_network(), [TASK], inner_learning_rate=RATE)
    meta.compile(keras.optimizers.Adam(1e-3), steps_per_execution=50)
    episodes = mtl.data.episodes(harbors, shots=10, queries=10, episodes=25, seed=seed)
    meta.fit(episodes, steps_per_epoch=steps, verbose=0)

    together = make_network()
    together.compile(keras.optimizers.Adam(1e-3), **mtl.compile_args([TASK]))
    x = np.concatenate([time for time, _ in harbors])
    tides = np.concatenate([labels["tide"] for _, labels in harbors])
    together.fit(x, {"tide": tides}, batch_size=250, epochs=max(steps // 100, 1), verbose=0)

    errors = {"trained to be adapted": [], "trained together": []}
    for time, labels in draw_harbors(50, 210, 1000 + seed):
        known, tide = time[:10], {"tide": labels["tide"][:10]}
        adapted = (
            meta.adapt(known, tide, steps=5),
            adapt(together, [TASK], (known, tide), steps=5, learning_rate=RATE),
        )
        copies = dict(zip(errors, adapted, strict=True))
        if figure and not errors["trained together"]:  # the first harbor
            draw((time, labels), copies, figure)
        for name, copy in copies.items():
            predicted = np.array(copy(time[10:])["tide"])[:, 0]
            errors[name].append(np.mean((predicted - labels["tide"][10:]) ** 2))
    return {name: float(np.mean(values)) for name, values in errors.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", default="new_harbor.png")
    for name, error in main(**vars(parser.parse_args())).items():
        print(f"{name:22} mean squared error in new harbors {error:.2f}")
