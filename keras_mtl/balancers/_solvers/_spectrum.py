"""Singular values of gradients that are known by their Gramian, in `keras.ops`."""

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._gramian import TINY, cosines_and_lengths, resolution
from keras_mtl.balancers._solvers._sizes import larger, library_of, size_of

_MAX_SWEEPS = 12
_ORTHOGONAL = 1e-8


def spectrum(gramian: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns eigenvalues and eigenvectors of a Gramian, small ones as precisely as large ones.

    Gradients whose lengths differ by 1e4 have eigenvalues that differ by 1e8 and more, of which
    an eigensolver loses the smallest. The Gramian is therefore factored by its cosines,
    `G = X X^T`, an eigensolver makes the rows of X nearly orthogonal, and Jacobi's rotations of
    X finish that. Outside of XLA (whose own solver stops at 8 digits) there is mostly none left
    to do.

    Args:
        gramian: Inner products `[K, K]`, in the precision in which they were computed.

    Returns:
        Eigenvalues `[K]`, eigenvectors `[K, K]`, one per row, and which eigenvalues are more than
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
    eye = ops.eye(size_of(cosines), dtype="float64")
    # A factor exists once no eigenvalue is below 0, however wrong the cosines are; the least
    # error is the one that rounding inside of the factorization needs.
    error = larger(resolution(gramian), 1e-15 * size_of(cosines, "float64"))
    shift = ops.maximum(error, -2 * ops.min(ops.eigh(cosines)[0]))
    rows = lengths[:, None] * ops.cholesky(cosines + shift * eye)  # X
    rotation = ops.transpose(ops.eigh(ops.matmul(rows, ops.transpose(rows)))[1])
    rows, rotation = _orthogonalize(ops.matmul(rotation, rows), rotation)
    # The eigenvalue that each eigenvector would have if the cosines were the identity matrix:
    # by this times the shift, the shift has raised it.
    identity_values = ops.sum(ops.square(rotation * lengths), axis=1)
    values = ops.maximum(ops.sum(ops.square(rows), axis=1) - shift * identity_values, 0)
    return values, rotation, values > 16 * ops.maximum(shift, error) * identity_values


def _orthogonalize(rows: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
    """Rotates pairs of rows until all are at right angles.

    In each round every row is paired with one other row: seats in the first half face those in
    the second. Then the rows move on around a table at which the first keeps its seat, so that
    all pairs have met after K - 1 rounds, a sweep.

    Args:
        rows: The rows `[K, K]`.
        rotation: A matrix `[K, K]` that goes through the same rotations.

    Returns:
        The rotated rows and matrix.
    """
    num_rows = size_of(rows)
    odd = num_rows % 2
    # An odd number of rows is filled up by a row of zeros. Where K is unknown, by `odd` rows.
    fills_up = not isinstance(odd, int) or odd == 1
    joined = ops.concatenate([rows, rotation], axis=1)  # [K, 2 K]
    if fills_up:
        joined = ops.concatenate([joined, ops.zeros((odd, 2 * num_rows), "float64")])
    half = (num_rows + odd) // 2
    seats = ops.convert_to_tensor(_next_seats(half), "int32")

    def is_unsolved(step: Tensor, joined: Tensor) -> Tensor:
        return ops.logical_and(
            step < _MAX_SWEEPS * (2 * half - 1), _any_not_orthogonal(joined[:, :num_rows])
        )

    def improve(step: Tensor, joined: Tensor) -> tuple[Tensor, Tensor]:
        rotated = _rotate_pairs(joined[:half], joined[half:], num_rows)
        return step + 1, ops.take(rotated, seats, axis=0)

    joined = ops.while_loop(is_unsolved, improve, (0, joined))[1]
    if fills_up:  # the row that filled the last seat is the one whose part of `rotation` is 0
        order = ops.argsort(-ops.sum(ops.square(joined[:, num_rows:]), axis=1))
        joined = ops.take(joined, order[:num_rows], axis=0)
    return joined[:, :num_rows], joined[:, num_rows:]


def _any_not_orthogonal(rows: Tensor) -> Tensor:
    """Returns whether any two rows are off a right angle by more than the tolerance."""
    lengths = ops.sqrt(ops.sum(ops.square(rows), axis=1, keepdims=True))
    rows = rows / ops.maximum(lengths, TINY)
    off_diagonal = 1 - ops.eye(size_of(rows), dtype="float64")
    cosines = ops.matmul(rows, ops.transpose(rows))
    return ops.max(ops.abs(cosines) * off_diagonal) > _ORTHOGONAL


def _rotate_pairs(first: Tensor, second: Tensor, num_entries: int | Tensor) -> Tensor:
    """Rotates row i of `first` with row i of `second` so that they are at right angles.

    Only the first `num_entries` entries of each row decide on the angle. For these entries x and
    y, its tangent is the smaller root of `t^2 + 2 t (y . y - x . x) / (2 x . y) = 1`.

    Args:
        first: Half of the rows, `[half, 2 K]`.
        second: The other half, `[half, 2 K]`.
        num_entries: K.

    Returns:
        All rotated rows, `[2 half, 2 K]`.
    """
    x, y = first[:, :num_entries], second[:, :num_entries]
    product = ops.sum(x * y, axis=1, keepdims=True)
    excess = ops.sum(y * y - x * x, axis=1, keepdims=True)
    ratio = excess / ops.where(product == 0, 1, 2 * product)
    root = ops.sqrt(1 + ops.square(ratio))
    # The smaller root is 1 / (ratio +- root), with the sign that adds up: no digits are lost.
    tangent = 1 / (ratio + ops.where(ratio < 0, -root, root))
    tangent = ops.where(product == 0, 0, tangent)
    cosine = 1 / ops.sqrt(1 + ops.square(tangent))
    return ops.concatenate(
        [cosine * (first - tangent * second), cosine * (second + tangent * first)]
    )


def _next_seats(half: int | Tensor) -> Tensor:
    """Returns, for each seat, the seat from which its next row comes, `[2 half]`.

    Seats 0 to half - 1 face seats half to 2 half - 1.
    """
    library = library_of(half)
    seats = library.arange(2 * half, dtype="int32")
    # Seat 0 is kept; the first half moves up from seat half, and the second down to half - 1.
    up = library.where(seats == 1, half, library.maximum(seats - 1, 0))
    down = library.where(seats == 2 * half - 1, larger(half - 1, 1), seats + 1)
    return library.where(seats < half, up, down)


__all__ = ["spectrum"]
