"""Relations and groups of tasks, and fronts of trade-offs, computed from arrays.

These functions take NumPy arrays, lists, dicts by name and data frames. They need no network and
no training, and they return plain values: names, arrays and tables that print themselves.
"""

from keras_mtl.analysis._gramian_statistics import GramianStatistics, gramian_statistics
from keras_mtl.analysis._hypervolume import hypervolume
from keras_mtl.analysis._noise_scale import NoiseScale, noise_scale
from keras_mtl.analysis._pareto_front import ParetoFront, pareto_front
from keras_mtl.analysis._step_curvature import step_curvature
from keras_mtl.analysis._unbiased_gramian import unbiased_gramian

__all__ = [
    "GramianStatistics",
    "NoiseScale",
    "ParetoFront",
    "gramian_statistics",
    "hypervolume",
    "noise_scale",
    "pareto_front",
    "step_curvature",
    "unbiased_gramian",
]
