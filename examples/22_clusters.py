"""Deep embedded clustering beside a supervised task: digits whose labels are known for 50 rows.

The clusters have no labels of their own. Their task compares the assignments q of the network with
the sharper p = q^2 / sum(q), normalized by row, which is computed anew before each epoch. Alone,
such a task collapses: it begins from k-means, and the supervised task stays beside it.

Run it from a checkout: python examples/22_clusters.py [--epochs 10]

Reference: Xie, Girshick and Farhadi, "Unsupervised Deep Embedding for Clustering Analysis"
(arXiv:1511.06335). There an autoencoder comes before; here the supervised task does.
"""

import argparse

import keras
import numpy as np
import scipy.optimize
import sklearn.cluster
import sklearn.datasets
from keras import ops

import keras_mtl as mtl
from keras_mtl import Labels, Task

CLUSTERS = 10


class Assignments(keras.layers.Layer):
    """Assigns features to clusters, in proportion to 1 / (1 + |z - center|^2)."""

    def build(self, input_shape):
        """Makes the centers."""
        self.centers = self.add_weight(shape=(CLUSTERS, input_shape[-1]), name="centers")

    def call(self, features):
        """Computes the share of each cluster, `(batch, clusters)`."""
        squares = ops.sum(ops.square(features[:, None] - self.centers), axis=-1)
        shares = 1.0 / (1.0 + squares)
        return shares / ops.sum(shares, axis=-1, keepdims=True)


def sharpen(q):
    """Returns the targets p: q squared, over the size of the cluster, normalized by row."""
    p = q**2 / q.sum(axis=0)
    return p / p.sum(axis=1, keepdims=True)


def matched_accuracy(labels, clusters):
    """Returns the accuracy of the best assignment of clusters to classes."""
    counts = np.zeros((CLUSTERS, CLUSTERS))
    np.add.at(counts, (clusters, labels), 1)
    rows, columns = scipy.optimize.linear_sum_assignment(-counts)
    return counts[rows, columns].sum() / len(labels)


DIGIT = Task.multiclass("digit", 10)
CLUSTER = Task(
    "cluster",
    head=lambda features: Assignments(dtype="float32", name="assignments")(features),
    loss=keras.losses.KLDivergence(),
    labels=Labels((CLUSTERS,), low=0, high=1, one_hot=True),
    weight=0.5,
)


def main(epochs=10):
    """Trains the clusters; returns the matched accuracy after k-means, and at the end."""
    keras.utils.set_random_seed(0)
    data = sklearn.datasets.load_digits()
    x = (data.data / 16).astype("float32")
    known = (np.arange(len(x)) < 50).astype("float32")
    y, w = {"digit": data.target}, {"digit": known, "cluster": np.ones(len(x), "float32")}
    network = mtl.architectures.hard_sharing(
        keras.Input((64,)), [DIGIT, CLUSTER], shared=(64, 16), tower=()
    )
    layer = network.get_layer("assignments")
    features = keras.Model(network.inputs[0], layer.input)
    model = mtl.BalancedModel(network, [DIGIT, CLUSTER], mtl.balancers.Equal())
    model.compile(keras.optimizers.Adam(1e-3))

    q = network.predict(x, verbose=0)["cluster"]  # the first epochs are those of the digits alone
    alone = {"digit": known, "cluster": np.zeros(len(x), "float32")}
    model.fit(x, {**y, "cluster": q}, sample_weight=alone, epochs=2 * epochs, verbose=0)
    k_means = sklearn.cluster.KMeans(CLUSTERS, n_init=5, random_state=0)
    k_means.fit(features.predict(x, verbose=0))
    layer.centers.assign(k_means.cluster_centers_)
    scores = [matched_accuracy(data.target, k_means.labels_)]
    for _ in range(epochs):
        q = network.predict(x, verbose=0)["cluster"]
        model.fit(x, {**y, "cluster": sharpen(q)}, sample_weight=w, verbose=0)
    q = network.predict(x, verbose=0)["cluster"]
    scores.append(matched_accuracy(data.target, q.argmax(-1)))
    print(f"clusters that are digits: k-means {scores[0]:.3f}, then {scores[1]:.3f}")
    return scores


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    main(**vars(parser.parse_args()))
