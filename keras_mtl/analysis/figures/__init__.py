"""Figures of results, by Matplotlib: one function per figure.

All take the values that `keras_mtl.analysis` returns, or plain dicts of numbers, and return a
`matplotlib.figure.Figure`, which `figure.savefig("gains.svg")` writes and which notebooks show.
They need no display and leave `pyplot` alone. Colors are those of Okabe and Ito, and lines and
markers differ too, so that no figure depends on colors.
"""

from keras_mtl.analysis.figures._curves import curves
from keras_mtl.analysis.figures._gate_loads import gate_loads
from keras_mtl.analysis.figures._hypervolume import hypervolume
from keras_mtl.analysis.figures._importances import importances
from keras_mtl.analysis.figures._matrix import matrix
from keras_mtl.analysis.figures._task_weights import task_weights
from keras_mtl.analysis.figures._trade_offs import trade_offs
from keras_mtl.analysis.figures._verdicts import verdicts
from keras_mtl.analysis.figures._weight_effects import weight_effects

__all__ = [
    "curves",
    "gate_loads",
    "hypervolume",
    "importances",
    "matrix",
    "task_weights",
    "trade_offs",
    "verdicts",
    "weight_effects",
]
