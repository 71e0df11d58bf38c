"""What each loss contributes: its gradients, and their inner products.

_tape                one step's tape: gradients of losses with respect to any source
_backward            the protocol of the backward passes; _trunk_backward and
                     _entangled_backward: its two classes
_gradient            one gradient in each of its forms; _rows: one row of them per loss
_gramian             all losses' gradients in one array per source, and their products
_sketch              their inner products, estimated from a few thousand numbers of each
_finite              sums without the gradients of tasks that are not finite
_kernels             the parts of gradients that show whether they are finite
_spread_columns      cotangents of columns that a `Dense` layer spreads, without rows
_branch              `tf.cond` for gradients
_loss_scale          the factor that gradients carry under mixed_float16

A cotangent is the gradient of a loss with respect to a tensor of the frontier.
"""

from keras_mtl.training._gradients._backward import Backward, make_backward
from keras_mtl.training._gradients._branch import branch
from keras_mtl.training._gradients._finite import (
    finite_part,
    finite_towers,
    is_finite,
    is_finite_sum,
    keep_finite,
    sum_of_finite,
)
from keras_mtl.training._gradients._gradient import Gradient, Row, existing, join_slices, row_of
from keras_mtl.training._gradients._gramian import (
    MANY_ROWS,
    StackedGradients,
    combine,
    gramian,
    nearest_weights,
    split_direction,
    squared_lengths,
    stack,
)
from keras_mtl.training._gradients._kernels import Kernels, find_kernels, parts_to_check
from keras_mtl.training._gradients._loss_scale import LossScale, loss_scale_of
from keras_mtl.training._gradients._rows import scale_rows, weighted_sum, zero_rows
from keras_mtl.training._gradients._sketch import gramian_of_sketch, sketch
from keras_mtl.training._gradients._spread_columns import SpreadCotangents

__all__ = [
    "MANY_ROWS",
    "Backward",
    "Gradient",
    "Kernels",
    "LossScale",
    "Row",
    "SpreadCotangents",
    "StackedGradients",
    "branch",
    "combine",
    "existing",
    "find_kernels",
    "finite_part",
    "finite_towers",
    "gramian",
    "gramian_of_sketch",
    "is_finite",
    "is_finite_sum",
    "join_slices",
    "keep_finite",
    "loss_scale_of",
    "make_backward",
    "nearest_weights",
    "parts_to_check",
    "row_of",
    "scale_rows",
    "sketch",
    "split_direction",
    "squared_lengths",
    "stack",
    "sum_of_finite",
    "weighted_sum",
    "zero_rows",
]
