"""Search for task weights with Keras Tuner."""

from keras_mtl.tuning._result import SearchResult, SearchTrial
from keras_mtl.tuning._search import search_task_weights

__all__ = ["SearchResult", "SearchTrial", "search_task_weights"]
