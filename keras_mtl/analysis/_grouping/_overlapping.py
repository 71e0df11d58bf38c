"""The best groups that may overlap, by a mixed-integer linear program."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.sparse

from keras_mtl.analysis._grouping._score import Affinities, Group
from keras_mtl.analysis._inputs._numbers import FloatArray

MAX_TASKS = 12
"""Of a program with all 4,095 groups, which takes some seconds."""


def find_overlapping(
    affinities: Affinities, networks: int, seconds: float
) -> tuple[list[Group], bool] | None:
    """Returns the best groups and whether they are proved to be the best.

    Maximizes sum_jS y_jS score_jS, with x_S = 1 if group S is trained and y_jS = 1 if it serves
    task j: y_jS <= x_S, sum_S y_jS = 1 for each task, sum_S x_S <= networks. Returns `None` if the
    time ended without any solution.
    """
    smallest = 1 if np.isfinite(affinities.alone).any() else 2
    groups = [
        group
        for size in range(smallest, affinities.num_tasks + 1)
        for group in itertools.combinations(range(affinities.num_tasks), size)
        if size > 1 or np.isfinite(affinities.alone[group[0]])
    ]
    scores = np.concatenate([affinities.score_group(group) for group in groups])
    owners = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    tasks = np.concatenate(groups).astype(np.intp)
    result = scipy.optimize.milp(
        _costs(scores, len(groups)),
        # With x whole, the best y is whole, too.
        integrality=np.r_[np.ones(len(groups)), np.zeros(len(scores))],
        bounds=scipy.optimize.Bounds(0, 1),
        constraints=_constraints(owners, tasks, len(groups), networks),
        options={"time_limit": seconds, "mip_rel_gap": 0.0},
    )
    if result.x is None:
        return None
    chosen = [groups[index] for index in np.flatnonzero(result.x[: len(groups)] > 0.5)]
    return chosen, result.status == 0


def _costs(scores: FloatArray, num_groups: int) -> FloatArray:
    """Returns the costs of x and y. HiGHS stops at an absolute gap, so scores are scaled to 1."""
    low, high = scores.min(), scores.max()
    scaled = (scores - low) / (high - low) if high > low else np.zeros(len(scores))
    return np.concatenate([np.zeros(num_groups), -scaled])


def _constraints(
    owners: npt.NDArray[np.intp], tasks: npt.NDArray[np.intp], num_groups: int, networks: int
) -> list[Any]:
    num_pairs = len(owners)
    pairs = np.arange(num_pairs)
    trained = scipy.sparse.csr_array(
        (np.ones(num_pairs), (pairs, owners)), shape=(num_pairs, num_groups)
    )
    served = scipy.sparse.csr_array(
        (np.ones(num_pairs), (tasks, pairs)), shape=(int(tasks.max()) + 1, num_pairs)
    )
    nothing = scipy.sparse.csr_array((served.shape[0], num_groups))
    count = np.r_[np.ones(num_groups), np.zeros(num_pairs)]
    return [
        scipy.optimize.LinearConstraint(
            scipy.sparse.hstack([-trained, scipy.sparse.eye_array(num_pairs)]), -np.inf, 0
        ),
        scipy.optimize.LinearConstraint(scipy.sparse.hstack([nothing, served]), 1, 1),
        scipy.optimize.LinearConstraint(count[None], 0, networks),
    ]
