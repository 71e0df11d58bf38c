"""Conflict and agreement of the gradients of the tasks, from their Gramian."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_mtl.analysis._gramians._pairs import compare_pairs
from keras_mtl.analysis._gramians._read import read_gramians, read_weights
from keras_mtl.analysis._gramians._spectrum import count_tasks, measure_cooperation
from keras_mtl.analysis._gramians._steps import (
    chance_rates,
    conflict_rates,
    direction_cosines,
    mean_rate,
)
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._printing._tables import format_number, format_table

_MAX_PAIRS = 10  # in the text; `rows` has all of them


@dataclasses.dataclass(frozen=True)
class GramianStatistics:
    """Holds the statistics of `gramian_statistics`. `print` shows the most opposed pairs.

    Matrices have one row and one column per task, in the order of `tasks`. Whatever does not exist
    is NaN, and `missing` says why.

    Args:
        tasks: The names of the K tasks.
        num_steps: The number of Gramians.
        gramian: Their mean over the steps in which both tasks are active, `[K, K]`.
        norms: The lengths d_i of the gradients, `[K]`.
        cosines: The cosines of the gradients, `[K, K]`, from -1 to 1.
        magnitude_similarities: 1 for gradients of one length, near 0 for very different ones,
            `[K, K]`.
        bounding_measures: The multi-task bounding measure xi, `[K, K]`.
        weights: The weights of the direction, `[K]`, their means over the steps.
        direction_cosines: The cosines of each gradient with the direction sum_j w_j g_j, `[K]`,
            their means over the steps.
        harm_rates: The share of steps in which the direction raises the loss of the task to first
            order, `[K]`.
        conflict_rates: For each threshold S, the share of pairs and steps with a cosine below -S.
        pair_conflict_rates: For each threshold, the share of steps by pair, `[K, K]`.
        chance_rates: For each threshold, the rate of gradients with random directions; empty if
            `num_variables` was not passed.
        effective_tasks: The effective number of tasks by participation, from 1 to K.
        effective_tasks_entropy: The effective number of tasks by entropy, from 1 to K.
        cooperation: From 0 (gradients cancel) over 1 (orthogonal) to K (one gradient).
        missing: By task, why its gradient has no direction.

    Example:
        >>> statistics = gramian_statistics([[4, -2], [-2, 9]], tasks=["views", "age"])
        >>> statistics.rows[0]["cosine"]
        -0.3333333333333333
    """

    tasks: tuple[str, ...]
    num_steps: int
    gramian: FloatArray
    norms: FloatArray
    cosines: FloatArray
    magnitude_similarities: FloatArray
    bounding_measures: FloatArray
    weights: FloatArray
    direction_cosines: FloatArray
    harm_rates: FloatArray
    conflict_rates: dict[float, float]
    pair_conflict_rates: dict[float, FloatArray]
    chance_rates: dict[float, float]
    effective_tasks: float
    effective_tasks_entropy: float
    cooperation: float
    missing: dict[str, str]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict per pair of tasks, for a table or a CSV file."""
        first, second = np.triu_indices(len(self.tasks), 1)
        return self._list_pairs(first, second)

    def __str__(self) -> str:
        lines = [
            f"{len(self.tasks)} tasks, steps: {self.num_steps}",
            f"effective number of tasks {format_number(self.effective_tasks)} (participation), "
            f"{format_number(self.effective_tasks_entropy)} (entropy); "
            f"cooperation {format_number(self.cooperation)}",
        ]
        for limit, rate in self.conflict_rates.items():
            chance = self.chance_rates.get(limit)
            by_chance = f", of random directions {format_number(chance)}" if chance else ""
            lines.append(f"cosines below {0 - limit:g}: share {format_number(rate)}{by_chance}")
        lines += [f"{task}: {reason}" for task, reason in self.missing.items()]
        first, second = np.triu_indices(len(self.tasks), 1)
        # The most opposed pairs first, and those without a cosine last.
        order = np.argsort(self.cosines[first, second], kind="stable")[:_MAX_PAIRS]
        rows = self._list_pairs(first[order], second[order])
        cells = [
            [f"{row['task']}, {row['other task']}", *map(format_number, list(row.values())[2:])]
            for row in rows
        ]
        if cells:
            lines += ["", format_table(["pair", *list(rows[0])[2:]], cells)]
        if len(first) > _MAX_PAIRS:
            lines.append(f"... {len(first)} pairs in all; see .rows")
        return "\n".join(lines)

    def _list_pairs(self, first: Any, second: Any) -> list[dict[str, Any]]:
        columns = {
            "task": [self.tasks[index] for index in first],
            "other task": [self.tasks[index] for index in second],
            "cosine": self.cosines[first, second].tolist(),
            "magnitude similarity": self.magnitude_similarities[first, second].tolist(),
            "bounding measure": self.bounding_measures[first, second].tolist(),
            **{
                f"conflict rate below {0 - limit:g}": rates[first, second].tolist()
                for limit, rates in self.pair_conflict_rates.items()
            },
        }
        return [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]


def gramian_statistics(
    gramian: Any,
    weights: Any = None,
    *,
    tasks: Iterable[Any] | None = None,
    thresholds: Sequence[float] = (0.0, 0.1),
    num_variables: int | None = None,
) -> GramianStatistics:
    """Computes how far the gradients of the tasks agree, from their inner products G.

    With g_i the gradient of task i, G_ij = g_i . g_j, d_i = sqrt(G_ii) and weights w:

        cosine                    = c_ij = G_ij / (d_i d_j)
        magnitude similarity      = 2 d_i d_j / (G_ii + G_jj)
        bounding measure          = (1 - c_ij^2) |g_i - g_j|^2 / |g_i + g_j|^2
        cosine with the direction = (G w)_i / (d_i sqrt(w'Gw))
        effective number of tasks = K^2 / |C|_F^2 (participation),
                                    exp(entropy of the eigenvalues of C / K)
        cooperation               = 1'G1 / tr G

    Choose it to see whether tasks conflict, and which. Look at the cosine with the direction first:
    where it is below 0, a step raises the loss of the task to first order. A negative cosine of two
    tasks harms nobody as long as the direction agrees with both. Both effective numbers ignore the
    sign of a cosine; cooperation tells aligned from opposed.

    Do not read conflict into cosines near 0: noise alone puts half of them below 0. Compare with
    `chance_rates`, and with the rates of permuted rows. Gradients of the same rows share the noise
    of these rows, which biases their cosines: pass `unbiased_gramian` of two half batches, averaged
    over steps. Its cosines are estimates, and may lie outside of -1 and 1.

    A task that is absent (NaN in its row and column) or has a zero gradient has no direction: its
    values are NaN, never 0, and `missing` names it. So does a task whose squared length, estimated
    from half batches, is negative: its gradient is below the noise.

    Args:
        gramian: G, `[K, K]`, or `[steps, K, K]`. An array, or for one step a frame or a dict of
            dicts by task. Several steps are averaged before cosines are taken (a ratio of means);
            conflict and the direction are judged in each step.
        weights: The weights w of the direction, those of the balancer: `[K]`, `[steps, K]` or a
            dict by task. 1 for each task by default.
        tasks: The names of the K tasks, or the tasks. By default, their positions.
        thresholds: Each S, from 0 to 1: a pair conflicts if its cosine is below -S.
        num_variables: The number n of entries of a gradient, for `chance_rates`.

    Returns:
        A `GramianStatistics`.

    Raises:
        TypeError: If an entry is no number.
        ValueError: If G is not symmetric or is infinite, or shapes or names do not fit.

    Example:
        >>> print(gramian_statistics([[18, -22], [-22, 38]], tasks=["views", "age"]))
        2 tasks, steps: 1
        effective number of tasks 1.17 (participation), 1.32 (entropy); cooperation 0.214
        cosines below 0: share 1
        cosines below -0.1: share 1
        <BLANKLINE>
        pair        cosine  magnitude similarity ...
        views, age  -0.841                 0.934 ...

    Reference:
        Yu et al. 2020, "Gradient Surgery for Multi-Task Learning", arXiv:2001.06782: magnitude
        similarity and multi-task bounding measure. Shi et al. 2023 (Recon), arXiv:2302.11289,
        count conflicts by layer. Roy and Vetterli 2007, and the Vendi score (arXiv:2210.02410), for
        the number by entropy; arXiv:1706.05699 for gradient diversity, of which cooperation is the
        inverse. Papers take cosines of single batches; here a stack of steps is averaged first.
    """
    steps, names = read_gramians(gramian, tasks)
    by_step = read_weights(weights, names, len(steps))
    limits = _check_thresholds(thresholds)
    if num_variables is not None and num_variables < 1:
        raise ValueError(f"num_variables is {num_variables}; expected at least 1.")
    pairs = compare_pairs(steps)
    squares = np.diagonal(pairs.gramian)
    rates = conflict_rates(steps, limits)
    cosines = direction_cosines(steps, by_step)
    participation, entropy = count_tasks(pairs.cosines)
    return GramianStatistics(
        tasks=names,
        num_steps=len(steps),
        gramian=pairs.gramian,
        norms=np.sqrt(np.where(squares >= 0, squares, np.nan)),
        cosines=pairs.cosines,
        magnitude_similarities=pairs.magnitudes,
        bounding_measures=pairs.bounds,
        weights=_mean(by_step),
        direction_cosines=_mean(cosines),
        harm_rates=_mean(np.where(np.isnan(cosines), np.nan, cosines < 0)),
        conflict_rates={limit: mean_rate(rates[limit], steps) for limit in limits},
        pair_conflict_rates=rates,
        chance_rates={} if num_variables is None else chance_rates(limits, num_variables),
        effective_tasks=participation,
        effective_tasks_entropy=entropy,
        cooperation=measure_cooperation(pairs.gramian),
        missing=_explain(squares, names),
    )


def _check_thresholds(thresholds: Sequence[float]) -> list[float]:
    limits = [float(limit) for limit in np.atleast_1d(np.asarray(thresholds, np.float64))]
    if not all(0 <= limit <= 1 for limit in limits):
        raise ValueError(
            f"thresholds is {thresholds}; expected numbers from 0 to 1. A pair conflicts if its "
            "cosine is below minus the threshold."
        )
    return limits


def _mean(values: FloatArray) -> FloatArray:
    """Returns means over the first axis of all numbers that exist, NaN where there is none."""
    counts = np.sum(~np.isnan(values), axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(values, axis=0) / counts)


def _explain(squares: FloatArray, names: tuple[str, ...]) -> dict[str, str]:
    reasons = {}
    for name, square in zip(names, squares.tolist(), strict=True):
        if np.isnan(square):
            reasons[name] = "absent from every step"
        elif square == 0:
            reasons[name] = "its gradient is zero"
        elif square < 0:
            reasons[name] = (
                "its gradient is below the noise: the estimate of its square is negative"
            )
    return reasons
