"""Group optimization for multi-task alignment (GO4Align)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers
from keras_mtl.balancers._solvers import SMALLEST_LOSS, softmax

_LEAST_RATIO = 1e-6  # of a loss to the mean loss: keeps weights and the weighted sum finite


@keras.saving.register_keras_serializable(package="keras_mtl")
class GO4Align(LossBalancer):
    """Gives tasks at a similar stage of learning one common weight.

    From the losses L of the K active tasks, their mean, and the losses of former steps,

        (1)  P_i = mean(L) / L_i
        (2)  Q_i <- Q_i exp(-beta L_i) / sum_j Q_j exp(-beta L_j)      Q_i = 1 / K at first
        (3)  gamma_i = P_i Q_i
        (4)  w_i = mean of gamma over the group of task i

    where the groups are those of k-means: of all divisions of the tasks into at most G groups,
    they have the least `sum_i (gamma_i - w_i)^2`. The rule minimizes `sum_i w_i L_i`.

    Choose it for many tasks whose losses differ in scale, at the cost of plain training: tasks of
    one group keep their proportions, where `ScaleInvariant` reacts to each loss by itself. (If
    each task is a group and beta is 0, weights are those of `ScaleInvariant` times mean(L) / K.)
    Not the right choice for two or three tasks, which have next to nothing to group, nor for
    losses that reach 0 or below. Nor with a large beta in long training: Q falls exponentially
    with the sum of all former losses, so a task whose loss stays 1 above the others keeps only
    `exp(-10)` of its share after `10 / beta` steps.

    Weights sum to the sum of gamma, which is 1 if all losses are equal. A loss counts as at least
    1e-6 of the mean loss, so weights are at most 1e6.

    Guide:
        Choose it when: there are many tasks, and groups of them learn alike
        Not when: there are two or three tasks, or a loss reaches 0 or below
        Source: Shen et al. 2024, arXiv:2404.06486

    Args:
        num_groups: G, the largest number of groups. The paper takes 2 for three tasks and 5 for
            eleven, and searches for it. Defaults to `2`.
        beta: How fast the losses of a step change the shares Q, per unit of a loss. With `0`, the
            past does not count. Defaults to `1e-4`.
        name: Optional name of the layer.

    Raises:
        ValueError: If there is no group, or beta is negative.

    Example:
        >>> balancer = GO4Align(num_groups=2, beta=0.0)
        >>> round(float(balancer.scalarize([1.0, 2.0, 4.0, 8.0])), 4)  # weights .9375, .2734 (3x)
        4.7656

    Reference: Shen et al. (2024), arXiv:2404.06486, equations 3 and 5 to 7. The authors' code
    divides the sum of the losses by L_i, not their mean, so its weights are K times as large; its
    k-means begins with random centers in each step, so groups may differ for equal losses. Here
    the groups are the best ones, found by cuts of the sorted gamma. The value of beta is that of
    the code.
    """

    def __init__(
        self,
        *,
        num_groups: int = 2,
        beta: float = 1e-4,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if num_groups != int(num_groups) or num_groups < 1:
            raise ValueError(
                f"num_groups must be a whole number of at least 1; received {num_groups!r}."
            )
        check_numbers("beta", beta)
        self.num_groups = int(num_groups)
        self.beta = float(beta)

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        # Logarithms of Q, up to a constant: Q itself would end as 0 in float32, and stay there.
        self.log_share = self.add_state("log_share", (num_tasks,))

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`, after their shares are updated."""
        known = ops.maximum(ops.stop_gradient(losses), SMALLEST_LOSS)
        mean = ops.mean(known)
        # (2) without its divisor, which softmax applies; the mean keeps the numbers small.
        log_share = self.log_share.value - self.beta * (known - mean)
        self.log_share.assign(log_share)
        scale = mean / ops.maximum(known, _LEAST_RATIO * mean)  # (1)
        weights = _means_of_groups(scale * softmax(log_share), self.num_groups)
        return ops.sum(weights * losses)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "num_groups": self.num_groups, "beta": self.beta}


def _means_of_groups(values: Tensor, num_groups: int) -> Tensor:
    """Replaces each value by the mean of its group, with the groups of k-means.

    Args:
        values: Values `[K]`, above 0.
        num_groups: The largest number of groups.

    Returns:
        The means `[K]`, in the order of the values.
    """
    ranks = ops.argsort(ops.argsort(values))
    largest = ops.cast(ops.max(values), "float64")
    # Ascending, so that the sums of small values are taken before large ones swallow their digits.
    ordered = ops.cast(ops.sort(values), "float64") / largest
    sizes, sums, squares = (
        ops.pad(ops.cumsum(terms), [[1, 0]])  # [K + 1]; entry j: of the first j values
        for terms in (ops.ones_like(ordered), ordered, ops.square(ordered))
    )
    cuts = _best_cuts(sizes, sums, squares, num_groups)
    size, total = (
        ops.take(terms, cuts[1:]) - ops.take(terms, cuts[:-1]) for terms in (sizes, sums)
    )
    means = largest * total / ops.maximum(size, 1)  # [G]; an empty group has no rank
    group = ops.sum(ops.cast(ranks[:, None] >= cuts[None, 1:-1], "int32"), axis=1)
    return ops.cast(ops.take(means, group), values.dtype)


def _best_cuts(sizes: Tensor, sums: Tensor, squares: Tensor, num_groups: int) -> Tensor:
    """Finds the cuts `[G + 1]` that divide sorted values into the groups of k-means.

    On a line, each of the best groups is a run of the sorted values. The best division of the
    first j values into g groups is, for some i, the best division of the first i values into g - 1
    groups, and the values from i to j as the last group.

    Args:
        sizes: Number of the first j values, `[K + 1]`: 0, 1, ..., K.
        sums: Sum of the first j values, `[K + 1]`.
        squares: Sum of the squares of the first j values, `[K + 1]`.
        num_groups: The largest number of groups, G.
    """
    # [K + 1, K + 1]; entry (i, j): of the group of the values from i to j.
    size, total, square = (terms[None, :] - terms[:, None] for terms in (sizes, sums, squares))
    deviation = ops.maximum(square - ops.square(total) / ops.maximum(size, 1), 0)
    deviation = ops.where(size < 0, float("inf"), deviation)

    least = ops.where(sizes > 0, float("inf"), ops.zeros_like(sizes))  # with no group yet
    starts = []
    for _ in range(num_groups):
        candidates = least[:, None] + deviation
        starts.append(ops.argmin(candidates, axis=0))  # entry j: where the last group begins
        least = ops.min(candidates, axis=0)

    cuts = [ops.shape(sizes)[0] - 1]  # K, then the beginnings of the groups, the last one first
    for start in reversed(starts):
        cuts.append(ops.take(start, cuts[-1]))
    return ops.stack([ops.cast(cut, "int32") for cut in reversed(cuts)])
