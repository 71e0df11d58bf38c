"""One task on two data sets, with shared features that do not tell which set it is.

    python examples/18_two_sources.py          # half a minute on two cores

Two made-up sources of 300 rows each; one column tells the source. An adversary behind a reversed
gradient keeps the source out of the shared features, and a fresh probe says how well it did.
"""

import argparse

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

import keras_mtl as mtl
from keras_mtl import Task

TASKS = [Task.binary("films"), Task.binary("books"), Task.multiclass("source", 2)]


def make_rows(count, seed):
    """Returns rows of both sources, labels, and weights of 0 for the other source's task."""
    rng = np.random.default_rng(seed)
    source, x = rng.integers(2, size=count), rng.normal(size=(count, 10)).astype("float32")
    x[:, 0] = 2 * source - 1 + 0.3 * x[:, 0]
    label = (x[:, 1:6].sum(axis=1) + (2 * source - 1) * x[:, 6] > 0).astype("float32")
    labels = {"films": label, "books": label, "source": source}
    return x, labels, {"films": 1.0 - source, "books": 1.0 * source, "source": np.ones(count)}


def main(epochs=60, strength=1.0):
    """Trains the network, and returns the accuracy of both tasks and that of a fresh probe."""
    network = mtl.architectures.shared_private(
        keras.Input((10,)),
        TASKS,
        shared=(32,),
        private=(16,),
        tower=(16,),
        adversary="source",
        strength=strength,
    )
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=6)
    x, labels, weights = make_rows(600, seed=0)
    model.fit(x, labels, sample_weight=weights, batch_size=100, epochs=epochs)

    x, labels, weights = make_rows(2000, seed=1)
    outputs = network.predict(x)
    right = {task: (outputs[task][:, 0] > 0.5) == labels[task] for task in ("films", "books")}
    scores = {task: float(right[task][weights[task] > 0].mean()) for task in right}
    body = keras.Model(network.input, network.get_layer("source_reversal").input)
    features = body.predict(x)
    probe = LogisticRegression(max_iter=1000).fit(features[:1000], labels["source"][:1000])
    return scores | {"fresh probe": float(probe.score(features[1000:], labels["source"][1000:]))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--strength", type=float, default=1.0)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    keras.config.disable_interactive_logging()
    for name, accuracy in main(options.epochs, options.strength).items():
        print(f"{name:<12} accuracy {accuracy:.3f}")
