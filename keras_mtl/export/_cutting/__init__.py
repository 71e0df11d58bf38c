"""Copies of the graph of a network, of which parts are left out, narrowed or replaced.

_layer_copies  copies of layers with all that they hold: variables, tables, flags
_remake        the walk: back from the outputs to find what is needed, forward to make it
_cut           copies of what some outputs need
_rules         the rules by which it is cut
_branches      which layers treat the branches on an axis separately
_cut_model     a functional model with some of its outputs
"""

from keras_mtl.export._cutting._cut import Cut
from keras_mtl.export._cutting._cut_model import cut_model, remake_model
from keras_mtl.export._cutting._remake import WHOLE, Need, Step

__all__ = ["WHOLE", "Cut", "Need", "Step", "cut_model", "remake_model"]
