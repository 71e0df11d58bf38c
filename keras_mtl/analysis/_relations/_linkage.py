"""Groups from relations: all groupings that a threshold can give, from fine to coarse."""

import numpy as np
import scipy.cluster.hierarchy
import scipy.spatial.distance

from keras_mtl.analysis._inputs._numbers import FloatArray

LINKAGES = ("single", "average")
Groups = tuple[tuple[int, ...], ...]


def merge_groups(strengths: FloatArray, linkage: str) -> list[tuple[float, Groups]]:
    """Returns each grouping with the largest threshold that gives it, the finest first.

    Args:
        strengths: Absolute relations, `[K, K]`; a missing one counts as 0.
        linkage: "single" merges two groups at their strongest relation, "average" at the mean.
    """
    num_tasks = len(strengths)
    groups = [(index,) for index in range(num_tasks)]
    groupings: list[tuple[float, Groups]] = [(np.inf, tuple(groups))]
    if num_tasks == 1:
        return groupings
    strengths = np.nan_to_num(strengths)
    top = max(1.0, float(strengths.max()))
    distances = top - (strengths + strengths.T) / 2
    np.fill_diagonal(distances, 0.0)
    merges = scipy.cluster.hierarchy.linkage(
        scipy.spatial.distance.squareform(distances, checks=False), linkage
    )
    clusters: dict[int, tuple[int, ...]] = dict(enumerate(groups))
    for step, (left, right, distance, _) in enumerate(merges):
        merged = tuple(sorted(clusters.pop(int(left)) + clusters.pop(int(right))))
        clusters[num_tasks + step] = merged
        if top - distance <= 0:
            break  # the rest has no relation at all
        grouping = (float(top - distance), tuple(sorted(clusters.values())))
        # Merges at one threshold are one step; equal values may differ by rounding.
        if abs(groupings[-1][0] - grouping[0]) <= 1e-12 * top:
            groupings[-1] = grouping
        else:
            groupings.append(grouping)
    return groupings
