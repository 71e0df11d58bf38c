"""The conflict-free direction that `ConFIG` and `MConFIG` share."""

from keras import ops
from keras.backend import standardize_dtype

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._free_system import conjugate_gradients
from keras_mtl.balancers._solvers._gramian import cosines_and_lengths
from keras_mtl.balancers._solvers._sizes import size_of
from keras_mtl.balancers._solvers._symmetric import has_many_tasks


def config_weights(gramian: Tensor) -> Tensor:
    """Computes the weights of ConFIG's direction; entries that are not finite are read as 0.

    With U the unit gradients `[K, n]` and `C = U U^T` the cosines, the direction is

        d = (sum_i g_i . v) v / |v|^2        v = U^+ 1 = U^T C^+ 1

    Args:
        gramian: Inner products `[K, K]` of the gradients, in the precision in which they were
            computed.

    Returns:
        Weights `[K]`, float64; 0 where the gradients cancel out.

    Example:
        >>> weights = config_weights(ops.array([[4.0, 0.0], [0.0, 1.0]]))
        >>> [float(weight) for weight in weights]  # orthogonal gradients of lengths 2 and 1
        [0.75, 1.5]
    """
    cosines, lengths = cosines_and_lengths(gramian)
    nonzero = lengths > 0
    both = ops.logical_and(nonzero[:, None], nonzero)
    cosines = ops.where(both, cosines, 0)
    rounding = 1e-13 if standardize_dtype(gramian.dtype) == "float64" else 2e-7
    if has_many_tasks(cosines) is False:
        coefficients, square = _by_eigenvectors(cosines, rounding)
    else:
        # Products alone find C^+ 1 where C is far from singular; an eigensolver takes 40 times as
        # long.
        ones = ops.ones_like(cosines[:1])
        x, solved = conjugate_gradients(cosines, ones, nonzero)
        coefficients, square = ops.cond(
            solved, lambda: (x[0], ops.sum(x)), lambda: _by_eigenvectors(cosines, rounding)
        )
    agree = square > 1e-10
    along = ops.sum(lengths * ops.matmul(cosines, coefficients))  # sum_i g_i . v
    factor = ops.where(agree, along / ops.where(agree, square, 1), 0)
    return factor * coefficients / ops.where(nonzero, lengths, 1)


def _by_eigenvectors(cosines: Tensor, rounding: float) -> tuple[Tensor, Tensor]:
    """Returns C^+ 1 `[K]` and `|v|^2 = 1^T C^+ 1`, without eigenvalues that are rounding errors."""
    # C^+ by the eigenvectors of C, which are the columns of `eigenvectors`.
    eigenvalues, eigenvectors = ops.eigh(cosines)
    kept = eigenvalues > rounding * size_of(cosines, "float64") * ops.max(eigenvalues)
    inverse = ops.where(kept, 1 / ops.where(kept, eigenvalues, 1), 0)
    sums = ops.sum(eigenvectors, axis=0)
    coefficients = ops.matmul(eigenvectors, inverse * sums)  # C^+ 1, so that v = U^T of them
    return coefficients, ops.sum(inverse * sums * sums)


__all__ = ["config_weights"]
