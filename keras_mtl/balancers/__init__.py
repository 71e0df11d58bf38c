"""Balancing strategies: how the tasks of a step are combined."""

from keras_mtl.balancers._base import (
    Balancer,
    GradientBalancer,
    GramianBalancer,
    LossBalancer,
)
from keras_mtl.balancers._cagrad import CAGrad
from keras_mtl.balancers._dwa import DWA
from keras_mtl.balancers._equal import Equal
from keras_mtl.balancers._fixed import Fixed
from keras_mtl.balancers._graddrop import GradDrop
from keras_mtl.balancers._mgda import MGDA
from keras_mtl.balancers._pcgrad import PCGrad
from keras_mtl.balancers._uncertainty import Uncertainty

__all__ = [
    "DWA",
    "MGDA",
    "Balancer",
    "CAGrad",
    "Equal",
    "Fixed",
    "GradDrop",
    "GradientBalancer",
    "GramianBalancer",
    "LossBalancer",
    "PCGrad",
    "Uncertainty",
]
