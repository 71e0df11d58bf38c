"""Singular values of gradients that are known by their Gramian, in `keras.ops`."""

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._linalg import cosines_and_lengths, resolution
from keras_mtl.balancers._solvers._quadratic import TINY
from keras_mtl.balancers._solvers._sizes import count, larger, library_of

_MAX_SWEEPS = 12
_ORTHOGONAL = 1e-8


def spectrum(gramian: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a Gramian, small ones to as many digits as large ones.

    Gradients whose lengths differ by 1e4 have eigenvalues that differ by 1e8 and more, of which
    an eigensolver loses the smallest. The Gramian is therefore factored by its cosines,
    `G = X X^T`, an eigensolver makes the rows of X nearly orthogonal, and Jacobi's rotations of
    X finish that, mostly none outside of XLA (whose own solver stops at 8 digits).

    Args:
        gramian: Inner products `[K, K]`, in the precision in which they were computed.

    Returns:
        Eigenvalues `[K]`, eigenvectors `[K, K]`, one a row, and which eigenvalues are more than
        rounding errors, bool `[K]`; in no order, of the Gramian divided by its largest entry.

    Example:
        >>> gramian = ops.array([[1e12, 1.0], [1.0, 1e-4]], "float64")
        >>> values, vectors, real = spectrum(gramian)
        >>> sorted(f"{float(value):.2g}" for value in values)
        ['1', '1e-16']

    Reference: Drmac & Veselic (2008), "New Fast and Accurate Jacobi SVD Algorithm", SIAM Journal
    on Matrix Analysis and Applications 29, for why rotations of X are accurate.
    """
    cosines, lengths = cosines_and_lengths(gramian)
    lengths = lengths / ops.maximum(ops.max(lengths), TINY)
    eye = ops.eye(count(cosines), dtype="float64")
    # A factor exists once no eigenvalue is below 0, however wrong the cosines are; the least
    # error is what rounding inside of the factorization needs.
    error = larger(resolution(gramian), 1e-15 * count(cosines, "float64"))
    shift = ops.maximum(error, -2 * ops.min(ops.eigh(cosines)[0]))
    rows = lengths[:, None] * ops.cholesky(cosines + shift * eye)
    turns = ops.transpose(ops.eigh(ops.matmul(rows, ops.transpose(rows)))[1])
    rows, turns = _orthogonalize(ops.matmul(turns, rows), turns)
    sizes = ops.sum(ops.square(turns * lengths), axis=1)  # what an eigenvalue would be, C being 1
    values = ops.maximum(ops.sum(ops.square(rows), axis=1) - shift * sizes, 0)
    return values, turns, values > 16 * ops.maximum(shift, error) * sizes


def _orthogonalize(rows: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
    """Rotates pairs of rows until all are at right angles; `turns` goes along.

    In each round all rows meet one other: the first half the second. Then they move on around a
    table at which the first keeps its seat, so that after K - 1 rounds all have met.
    """
    num = count(rows)
    odd = num % 2
    fills_up = not isinstance(odd, int) or odd == 1  # by no row or one, where K is not known
    joined = ops.concatenate([rows, turns], axis=1)
    if fills_up:
        joined = ops.concatenate([joined, ops.zeros((odd, 2 * num), "float64")])
    half = (num + odd) // 2
    seats = ops.convert_to_tensor(_next_seats(half), "int32")

    def go_on(step: Tensor, joined: Tensor) -> Tensor:
        return ops.logical_and(step < _MAX_SWEEPS * (2 * half - 1), _crooked(joined[:, :num]))

    def body(step: Tensor, joined: Tensor) -> tuple[Tensor, Tensor]:
        return step + 1, ops.take(_turned(joined[:half], joined[half:], num), seats, axis=0)

    joined = ops.while_loop(go_on, body, (0, joined))[1]
    if fills_up:  # the row that filled the last seat is the one that has turned nothing
        order = ops.argsort(-ops.sum(ops.square(joined[:, num:]), axis=1))
        joined = ops.take(joined, order[:num], axis=0)
    return joined[:, :num], joined[:, num:]


def _crooked(rows: Tensor) -> Tensor:
    """Whether any two rows are off a right angle by more than the tolerance."""
    lengths = ops.sqrt(ops.sum(ops.square(rows), axis=1, keepdims=True))
    rows = rows / ops.maximum(lengths, TINY)
    others = 1 - ops.eye(count(rows), dtype="float64")
    return ops.max(ops.abs(ops.matmul(rows, ops.transpose(rows))) * others) > _ORTHOGONAL


def _turned(first: Tensor, second: Tensor, num: int) -> Tensor:
    """Both halves of the rows, each row rotated with the other so that they are at right angles.

    Only their first `num` entries count. The tangent of the angle is the smaller root of
    `t^2 + 2 t (y . y - x . x) / (2 x . y) = 1`.
    """
    x, y = first[:, :num], second[:, :num]
    product = ops.sum(x * y, axis=1, keepdims=True)
    excess = ops.sum(y * y - x * x, axis=1, keepdims=True)
    ratio = excess / ops.where(product == 0, 1, 2 * product)
    root = ops.sqrt(1 + ops.square(ratio))
    tangent = 1 / (ratio + ops.where(ratio < 0, -root, root))
    tangent = ops.where(product == 0, 0, tangent)
    cosine = 1 / ops.sqrt(1 + ops.square(tangent))
    return ops.concatenate(
        [cosine * (first - tangent * second), cosine * (second + tangent * first)]
    )


def _next_seats(half: int | Tensor) -> Tensor:
    """Who comes to each seat: seats 0 to half - 1 face seats half to 2 half - 1."""
    library = library_of(half)
    seats = library.arange(2 * half, dtype="int32")
    # Seat 0 is kept; the first half moves up from seat half, and the second down to half - 1.
    up = library.where(seats == 1, half, library.maximum(seats - 1, 0))
    down = library.where(seats == 2 * half - 1, larger(half - 1, 1), seats + 1)
    return library.where(seats < half, up, down)


__all__ = ["spectrum"]
