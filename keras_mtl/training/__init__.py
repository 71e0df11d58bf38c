"""Training: balancing inside `fit`, on one device or on many."""

from keras_mtl._replicas import strategy
from keras_mtl.training._balanced_model import BalancedModel

__all__ = ["BalancedModel", "strategy"]
