"""A row of the table of balancers on which all laws are tested."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from keras_mtl.balancers import Balancer

JACOBIAN = np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])


@dataclasses.dataclass(frozen=True)
class Case:
    """Holds one row of the table."""

    make: Callable[[Sequence[int]], Balancer]
    """Makes the balancer for tasks with these indices, on which arguments by task depend."""
    kind: type[Balancer]
    golden: tuple
    """The weights for `JACOBIAN`; for a gradient balancer, the possible directions."""
    laws: frozenset[str] = frozenset()
    """The laws that the balancer claims, or from which it is excepted."""


def case(make, kind, golden, *laws):
    return Case(make, kind, golden, frozenset(laws))
