"""Export of trained networks: plain networks, and SavedModels for servers, without balancers."""

from keras_mtl.export._choose_thresholds import choose_thresholds
from keras_mtl.export._harden import harden
from keras_mtl.export._merge import merge
from keras_mtl.export._saved_model import saved_model

__all__ = ["choose_thresholds", "harden", "merge", "saved_model"]
