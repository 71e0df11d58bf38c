"""Where the tasks of a network part.

_frontier        cuts the graph into a trunk and towers, and says which variables are shared
_split_forward   runs both parts: one pass through the trunk, one copy of the frontier per task
_joint_layers    layers that hold the towers of several tasks; _variable_slice: one task's part
_column_layers   the layer at which the columns of one task part

The frontier is the list of tensors between the trunk and the towers: outputs of the trunk that
towers read, and inputs of the network that towers read directly.
"""

from keras_mtl.training._frontier._column_layers import ColumnLayer, find_column_layer
from keras_mtl.training._frontier._frontier import Frontier, find_frontier, named_outputs
from keras_mtl.training._frontier._joint_layers import JointLayer
from keras_mtl.training._frontier._split_forward import ColumnPass, Copies, Forward, split_forward
from keras_mtl.training._frontier._variable_slice import (
    VariableSlice,
    distinct_sources,
    source_of,
)

__all__ = [
    "ColumnLayer",
    "ColumnPass",
    "Copies",
    "Forward",
    "Frontier",
    "JointLayer",
    "VariableSlice",
    "distinct_sources",
    "find_column_layer",
    "find_frontier",
    "named_outputs",
    "source_of",
    "split_forward",
]
