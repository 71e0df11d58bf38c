"""Relations and groups of tasks, and fronts of trade-offs, computed from arrays.

These functions take NumPy arrays, lists, dicts by name and data frames. They need no network and
no training, and they return plain values: names, arrays and tables that print themselves.
"""

from keras_mtl.analysis._hypervolume import hypervolume
from keras_mtl.analysis._pareto_front import ParetoFront, pareto_front

__all__ = ["ParetoFront", "hypervolume", "pareto_front"]
