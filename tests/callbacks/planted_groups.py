"""How well measures of one joint training find the groups of synthetic tasks."""

from typing import Any

import keras
import numpy as np
import scipy.cluster.hierarchy
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

import keras_mtl as mtl
from keras_mtl.callbacks import AffinityMonitor


def recovery(
    num_tasks: int, num_groups: int, heads: Any, *, epochs: int, seed: int = 0, every: int = 10
) -> dict[str, float]:
    """Trains all tasks together, and returns the adjusted Rand index of each measure.

    A trunk of 64 units, linear heads, the sum of squared losses, Adam, 32 steps per epoch; average
    linkage with the number of groups known.
    """
    data = mtl.datasets.synthetic_groups(num_tasks, num_groups, heads=heads, seed=seed)
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((32,))
    network = mtl.architectures.hard_sharing(inputs, data.tasks, shared=(64,), tower=())
    network.compile(keras.optimizers.Adam(3e-3), **mtl.compile_args(data.tasks))
    rows = data.train.take(4096).batch(256)
    options: dict[str, Any] = {"every": every, "unit": "steps"}
    affinities = AffinityMonitor(data.tasks, rows, on="same", **options)
    train = data.train.batch(256).cache()
    network.fit(train, epochs=epochs, callbacks=[affinities], verbose=0, shuffle=False)
    affinity, relations = affinities.affinity, affinities.relatedness
    # The benefit of a step is mostly its momentum, the same for all other tasks of a column.
    benefit = np.where(np.eye(num_tasks, dtype=bool), np.nan, affinity.benefit)
    benefit = np.nan_to_num(benefit - np.nanmean(benefit, axis=0))
    measures = {
        "TAG": benefit,
        "standardized": affinity.standardized,
        "absolute cosine": relations.cosines,
        "fisher": relations.fisher,
        "units": relations.units,
    }
    return {
        name: float(adjusted_rand_score(data.groups, cluster(matrix, num_groups)))
        for name, matrix in measures.items()
    }


def cluster(matrix: Any, num_groups: int) -> Any:
    """Returns the clusters of average linkage of a similarity, made symmetric."""
    similar = (matrix + matrix.T) / 2
    distances = similar.max() - similar
    np.fill_diagonal(distances, 0)
    tree = scipy.cluster.hierarchy.average(squareform(distances, checks=False))
    return scipy.cluster.hierarchy.fcluster(tree, num_groups, "maxclust")
