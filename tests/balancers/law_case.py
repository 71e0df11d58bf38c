"""A row of the table of balancers on which all laws are tested."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from keras_mtl.balancers import Balancer

Tasks: TypeAlias = Sequence[int]
"""Indices of tasks, on which arguments per task depend."""

Golden: TypeAlias = tuple[float, ...] | tuple[tuple[float, ...], ...]

JACOBIAN = np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])


@dataclasses.dataclass(frozen=True)
class Case:
    """Holds one row of the table."""

    make: Callable[[Tasks], Balancer]
    """Makes the balancer for tasks with these indices."""
    kind: type[Balancer]
    golden: Golden
    """The weights for `JACOBIAN`; for a gradient balancer, the possible directions."""
    laws: frozenset[str] = frozenset()
    """The laws that the balancer claims, or from which it is excepted."""


def case(
    make: Callable[[Tasks], Balancer], kind: type[Balancer], golden: Golden, *laws: str
) -> Case:
    return Case(make, kind, golden, frozenset(laws))
