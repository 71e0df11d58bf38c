"""Solvers and small functions that the rules of the balancers share.

All of them are written in `keras.ops`, take a bounded number of iterations and run inside a
traced step. What each module holds, from the general to the special:

    _sizes             sizes that may be unknown while a graph is traced
    _safe_math         logarithms, softmax and lengths that stay finite
    _gramian           cosines, lengths and rounding errors of a Gramian; constants
    _interior_point    the steps that interior-point methods have in common; their limits
    _quadratic         quadratic programs over u >= 0; _quadratic_exchange: of many variables
    _simplex           projections onto the simplex, points of least norm
    _symmetric         systems with symmetric matrices, also for many tasks
    _free_system       such systems among some of many variables
    _ball              the best worst case in a ball; _ball_exchange: for many tasks
    _dual_cone         projections onto the dual cone of the gradients
    _config_direction  the direction with equal cosines to all gradients
    _linear_program    the simplex method
    _spectrum          eigenvalues of a Gramian
    _adam              Adam on one number per task
    _dirichlet         random weights that compile under XLA
"""

from keras_mtl.balancers._solvers._adam import Adam
from keras_mtl.balancers._solvers._ball import best_worst_case
from keras_mtl.balancers._solvers._config_direction import config_weights
from keras_mtl.balancers._solvers._dirichlet import dirichlet
from keras_mtl.balancers._solvers._dual_cone import (
    equal_projections,
    fair_point,
    project_onto_dual_cone,
)
from keras_mtl.balancers._solvers._gramian import (
    cosines_and_lengths,
    mean_where_zero,
    nan_where_not_finite,
    resolution,
)
from keras_mtl.balancers._solvers._linear_program import minimize_in_turn, pivot, values_of
from keras_mtl.balancers._solvers._quadratic import nonnegative_minimum
from keras_mtl.balancers._solvers._safe_math import (
    SMALLEST_LOSS,
    length,
    log_of,
    shares_of,
    softmax,
)
from keras_mtl.balancers._solvers._simplex import min_norm_point, simplex_projection
from keras_mtl.balancers._solvers._sizes import larger, library_of, size_of, smaller
from keras_mtl.balancers._solvers._spectrum import spectrum

__all__ = [
    "SMALLEST_LOSS",
    "Adam",
    "best_worst_case",
    "config_weights",
    "cosines_and_lengths",
    "dirichlet",
    "equal_projections",
    "fair_point",
    "larger",
    "length",
    "library_of",
    "log_of",
    "mean_where_zero",
    "min_norm_point",
    "minimize_in_turn",
    "nan_where_not_finite",
    "nonnegative_minimum",
    "pivot",
    "project_onto_dual_cone",
    "resolution",
    "shares_of",
    "simplex_projection",
    "size_of",
    "smaller",
    "softmax",
    "spectrum",
    "values_of",
]
