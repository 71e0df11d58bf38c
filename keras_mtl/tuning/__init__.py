"""Search of task weights, architectures, balancers and other hyper-parameters.

Keras Tuner searches for one objective, and Optuna for the front of several ones.
"""

from keras_mtl.tuning._pareto_result import ParetoResult, ParetoTrial
from keras_mtl.tuning._result import SearchResult, SearchTrial
from keras_mtl.tuning._search import search
from keras_mtl.tuning._search_task_weights import search_task_weights

__all__ = [
    "ParetoResult",
    "ParetoTrial",
    "SearchResult",
    "SearchTrial",
    "search",
    "search_task_weights",
]
