"""Balancing strategies: how the tasks of a step are combined."""

from keras_mtl.balancers._base import (
    Balancer,
    GradientBalancer,
    GramianBalancer,
    LossBalancer,
)

__all__ = [
    "Balancer",
    "GradientBalancer",
    "GramianBalancer",
    "LossBalancer",
]
