"""Projections of many gradients against each other, each in an order of its own."""

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._sizes import size_of

_BLOCK = 96


def projections_of_many(cosines: Tensor, order: Tensor) -> Tensor:
    """Returns what the projections of PCGrad take away, for many tasks.

    For each task i, beginning with `g = u_i` and for the tasks j in its order but i itself:

        c_ij = min(g . u_j, 0)        g <- g - c_ij u_j

    with unit gradients u. Taken as it stands, each of the K positions of the orders changes K x K
    numbers. Here positions are taken in blocks: products of all g with the tasks of a block are
    brought up to date at its beginning, by one product of matrices, and then change among the
    tasks of the block alone.

    Args:
        cosines: Cosines `[K, K]` of the gradients, float64; a row of zeros for a gradient of zero.
        order: Row i is the order for task i, `[K, K]`, int32.

    Returns:
        c, `[K, K]`, float64, none above 0.

    Example:
        >>> cosines = ops.array([[1.0, -0.5], [-0.5, 1.0]], "float64")
        >>> changes = projections_of_many(cosines, ops.array([[0, 1], [1, 0]], "int32"))
        >>> [[abs(float(value)) for value in row] for row in changes]
        [[0.0, 0.5], [0.5, 0.0]]
    """
    num_tasks = size_of(cosines)
    tasks = ops.arange(num_tasks, dtype="int32")
    num_blocks = -(-num_tasks // _BLOCK)
    # Filled up with the tasks themselves, which are left out: whole blocks.
    filling = ops.zeros((1, _BLOCK), "int32") + tasks[:, None]  # [K, block]
    padded = ops.concatenate([ops.cast(order, "int32"), filling], axis=1)
    place = ops.argsort(order, axis=1)  # where task j stands in the order for i
    eye = ops.eye(num_tasks, dtype="float64")
    flat = ops.reshape(cosines, (-1,))

    def project_block(block: Tensor, by_position: Tensor) -> Tensor:
        first = block * _BLOCK
        others = ops.take(padded, first + ops.arange(_BLOCK, dtype="int32"), axis=1)  # [K, block]
        changes = ops.take_along_axis(by_position, place, axis=1)
        dots = ops.take_along_axis(ops.matmul(eye - changes, cosines), others, axis=1)
        columns = ops.transpose(others)  # [block, K]
        # [block, K, block]: for each position and task i, the cosines with all tasks of the block.
        among = ops.take(flat, columns[:, :, None] * num_tasks + others[None, :, :])
        counts = ops.cast(columns != tasks[None, :], "float64")
        positions = ops.arange(_BLOCK, dtype="int32")

        def project(position: Tensor, dots: Tensor) -> Tensor:
            # A product stays as it is once its task has had its turn: it is c then.
            dot = ops.minimum(ops.take(dots, position, axis=1), 0) * ops.take(counts, position, 0)
            changed = dots - dot[:, None] * ops.take(among, position, axis=0)
            later = positions[None, :] > position
            here = ops.equal(positions[None, :], position)
            return ops.where(later, changed, ops.where(here, dot[:, None], dots))

        found = ops.fori_loop(0, _BLOCK, project, dots)
        return ops.slice_update(by_position, (0, first), found)

    start = ops.zeros_like(padded, dtype="float64")
    # The filling is as wide as a block, so that the last block fits in.
    return ops.take_along_axis(ops.fori_loop(0, num_blocks, project_block, start), place, axis=1)


__all__ = ["projections_of_many"]
