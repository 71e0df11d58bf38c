"""Orders of tasks that put similar ones side by side."""

import numpy as np
import scipy.cluster.hierarchy
import scipy.spatial.distance

from keras_mtl.analysis._inputs._numbers import FloatArray

_MOST_FOR_OPTIMAL = 200  # the best order of leaves takes a time that grows as K^3


def order_by_linkage(values: FloatArray) -> list[int]:
    """Returns the positions of the K tasks in the order of the leaves of average linkage.

    Args:
        values: Similarities, `[K, K]`. Both directions of a pair are averaged, and a missing one
            counts as the smallest.
    """
    num_tasks = len(values)
    if num_tasks < 3 or np.isnan(values).all():
        return list(range(num_tasks))
    similarities = np.where(np.isnan(values), np.nanmin(values), values)
    similarities = (similarities + similarities.T) / 2
    distances = similarities.max() - similarities
    np.fill_diagonal(distances, 0.0)
    tree = scipy.cluster.hierarchy.linkage(
        scipy.spatial.distance.squareform(distances, checks=False),
        "average",
        optimal_ordering=num_tasks <= _MOST_FOR_OPTIMAL,
    )
    return [int(leaf) for leaf in scipy.cluster.hierarchy.leaves_list(tree)]
