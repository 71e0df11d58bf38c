"""How many tasks the gradients amount to."""

import numpy as np
import scipy.special

from keras_mtl.analysis._inputs._numbers import FloatArray


def count_tasks(cosines: FloatArray) -> tuple[float, float]:
    """Returns the effective number of tasks, by participation and by entropy.

    Participation is K^2 / |C|_F^2 (Frobenius norm), the other one exp(H(eigenvalues of C / K)).
    Tasks without a gradient do not count. Both are NaN if there is no gradient, or no cosine of two
    tasks that are never active together.
    """
    present = ~np.isnan(np.diagonal(cosines))
    cosines = cosines[present][:, present]
    if not cosines.size or np.isnan(cosines).any():
        return np.nan, np.nan
    num_tasks = len(cosines)
    participation = num_tasks**2 / float(np.sum(cosines**2))
    # Averages over different steps, and half batches, may leave negative eigenvalues.
    shares = np.maximum(np.linalg.eigvalsh(cosines / num_tasks), 0.0)
    entropy = float(scipy.special.entr(shares / shares.sum()).sum())
    return participation, float(np.exp(entropy))


def measure_cooperation(gramian: FloatArray) -> float:
    """Returns 1'G1 / tr G over the active tasks; NaN if it is not defined."""
    active = ~np.isnan(np.diagonal(gramian))
    gramian = gramian[active][:, active]
    trace = np.trace(gramian)
    return float(np.sum(gramian) / trace) if trace > 0 else np.nan
