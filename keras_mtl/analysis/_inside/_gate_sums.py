"""The weights of a gate over many rows: their sums, and the statistics that follow."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.special

from keras_mtl.analysis._inputs._numbers import FloatArray


class GateSums:
    """Sums the weights that a gate gives to its experts.

    With p_re, the weight of expert e in row r, rows are scaled to sum 1 for the entropies; of a
    hard gate, each expert with a weight above 0 counts alike.

    Args:
        num_experts: The number of experts.
        hard: Whether experts are counted.
    """

    def __init__(self, num_experts: int, hard: bool) -> None:
        self._hard = hard
        self.rows = 0
        self._shares = np.zeros(num_experts)
        self._weights = np.zeros(num_experts)
        self._selected = np.zeros(num_experts)
        self._entropy = 0.0
        self._deciding = 0
        self._use = np.zeros(num_experts)

    def add(self, weights: FloatArray, use: FloatArray) -> None:
        """Adds rows.

        Args:
            weights: p, `[rows, experts]`.
            use: p_re |f_re|, the sizes of the weighted experts, `[rows or positions, experts]`.

        Raises:
            ValueError: If a weight is negative or not finite.
        """
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError("has weights that are negative or not finite")
        self.rows += len(weights)
        self._weights += weights.sum(axis=0)
        self._selected += (weights > 0).sum(axis=0)
        self._use += use.sum(axis=0)
        shares = (weights > 0).astype(np.float64) if self._hard else weights
        sums = shares.sum(axis=1, keepdims=True)
        decides = sums[:, 0] > 0
        shares = shares[decides] / sums[decides]
        self._shares += shares.sum(axis=0)
        self._entropy += float(scipy.special.entr(shares).sum())
        self._deciding += len(shares)

    def statistics(self) -> dict[str, Any]:
        """Returns the statistics of all rows, by the names of the fields of `GateStatistics`."""
        num_experts = len(self._weights)
        log = np.log(num_experts) if num_experts > 1 else 1.0
        rows = max(self.rows, 1)
        total_use = self._use.sum()
        undefined = np.full(num_experts, np.nan)
        load = self._shares / self._deciding if self._deciding else undefined
        load_entropy = float(scipy.special.entr(load).sum())
        entropy = self._entropy / self._deciding if self._deciding else np.nan
        return {
            "rows": self.rows,
            "load": load,
            "weight": self._weights / rows if self.rows else undefined,
            "selected": self._selected / rows if self.rows else undefined,
            "use": self._use / total_use if total_use > 0 else undefined,
            "load_entropy": load_entropy / log,
            "entropy": entropy / log,
            "effective_experts": float(np.exp(load_entropy)),
            # A mutual information, which rounding alone can push below 0, or above it by so little.
            "specialization": float(np.maximum(np.round(load_entropy - entropy, 12), 0.0)),
            "load_variation": float(np.var(load) / np.mean(load) ** 2),
        }


def divergence(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Returns the Jensen-Shannon divergence of two loads by expert, in nats, from 0 to ln 2.

    SciPy's function takes a square root, and warns where rounding made the divergence of equal
    loads negative.
    """
    names = [*first, *(name for name in second if name not in first)]
    loads = np.array([[load.get(name, 0.0) for name in names] for load in (first, second)])
    entropies = scipy.special.entr([loads.mean(axis=0), *loads]).sum(axis=1)
    return float(np.maximum(entropies[0] - entropies[1:].mean(), 0.0))
