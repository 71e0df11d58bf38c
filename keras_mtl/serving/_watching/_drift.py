"""The population stability index, beside its value without any drift."""

import dataclasses

import numpy as np
import numpy.typing as npt

_Z99 = 2.3263478740408408
"""The 99 % quantile of the normal distribution."""


@dataclasses.dataclass(frozen=True)
class Drift:
    """Holds a population stability index, and what it would be without any drift.

    Args:
        psi: The index.
        null_mean: Its mean if nothing has changed.
        null_99: The value that it exceeds in 1 % of the cases if nothing has changed.
        rows: The number of new values.
        reference_rows: The number of values on training rows.

    Example:
        >>> Drift(0.3, 0.01, 0.02, 1000, 5000).is_drift
        True
    """

    psi: float
    null_mean: float
    null_99: float
    rows: int
    reference_rows: int

    @property
    def is_drift(self) -> bool:
        """Whether there are 1,000 values or more, and the index is above .1 and its 99 % value."""
        return self.rows >= 1000 and self.psi > max(0.1, self.null_99)

    def __str__(self) -> str:
        verdict = "drift" if self.is_drift else "no drift" if self.rows >= 1000 else "too few rows"
        return (
            f"PSI {self.psi:.3f} of {self.rows} values (without drift {self.null_mean:.3f}, 99 % "
            f"below {self.null_99:.3f}): {verdict}"
        )


def population_stability(reference: npt.ArrayLike, counts: npt.ArrayLike) -> Drift:
    """Returns how far the distribution of predictions is from that on training rows.

        PSI = sum_b (q_b - p_b) ln(q_b / p_b)

    with the shares p_b of the reference and q_b of the new values. An empty bin counts as one half
    of a value. Even without drift the index is about (bins - 1)(1/n + 1/m) for n new and m values
    of the reference, as a chi-squared variable of bins - 1 degrees of freedom times (1/n + 1/m):
    0.09 for 100 values in 10 bins, so a fixed bound of 0.2 rings at random. Compare it with
    `null_99`.

    Choose it for predictions of one task, cut at the deciles on training rows. Not for fewer than
    1,000 values: only a large drift can be told from chance then.

    Args:
        reference: The number of training rows in each bin, `(bins,)`.
        counts: The number of new rows in each bin, `(bins,)`.

    Raises:
        ValueError: If the bins differ, there are fewer than two, or one side has no rows.

    Example:
        >>> print(population_stability([500] * 10, [90, 110] * 5))
        PSI 0.010 of 1000 values (without drift 0.011, 99 % below 0.026): no drift
        >>> population_stability([500] * 10, [400, 200] + [50] * 8).is_drift
        True

    Reference:
        Yurdakul and Naranjo 2020, "Statistical properties of the population stability index",
        doi:10.21314/JRMV.2020.227, for the distribution without drift.
    """
    expected, received = np.asarray(reference, float), np.asarray(counts, float)
    if expected.shape != received.shape or expected.ndim != 1 or len(expected) < 2:
        raise ValueError(
            "reference and counts must be counts of the same bins, two or more; received shapes "
            f"{expected.shape} and {received.shape}."
        )
    rows, reference_rows = int(received.sum()), int(expected.sum())
    if rows < 1 or reference_rows < 1:
        raise ValueError(f"there must be rows on both sides; received {reference_rows} and {rows}.")
    p = np.maximum(expected, 0.5) / np.maximum(expected, 0.5).sum()
    q = np.maximum(received, 0.5) / np.maximum(received, 0.5).sum()
    scale, freedom = 1 / rows + 1 / reference_rows, len(p) - 1
    return Drift(
        float(np.sum((q - p) * np.log(q / p))),
        freedom * scale,
        chi_squared_quantile(freedom, _Z99) * scale,
        rows,
        reference_rows,
    )


def chi_squared_quantile(freedom: int, normal_quantile: float) -> float:
    """Returns a quantile of chi-squared by Wilson and Hilferty, within 1 % up to the 99 % one.

    Args:
        freedom: Its degrees of freedom.
        normal_quantile: The quantile of the normal distribution for the same probability.
    """
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + normal_quantile * np.sqrt(spread)) ** 3)
