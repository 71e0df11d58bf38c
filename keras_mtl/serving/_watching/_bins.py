"""How the predictions of a task are counted."""

import dataclasses

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Bins:
    """Cuts predictions of a task into bins, and holds how many training rows each has.

    Args:
        edges: Increasing cuts, one fewer than bins; `None` if the prediction has one entry per
            class, so that the bins are the most probable classes.
        counts: The number of training predictions in each bin.
    """

    edges: tuple[float, ...] | None
    counts: tuple[int, ...]

    def count(self, predictions: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Returns how many predictions are in each bin, `(bins,)`.

        Args:
            predictions: `(rows, ...)`; all entries count, or of a class task the largest one.
        """
        if self.edges is None:
            places = predictions.reshape(-1, predictions.shape[-1]).argmax(-1)
        else:
            places = np.searchsorted(self.edges, predictions.reshape(-1), side="right")
        return np.bincount(places, minlength=len(self.counts))


def make_bins(predictions: npt.NDArray[np.floating], is_class: bool) -> Bins:
    """Returns bins at the deciles of predictions on training rows; equal deciles are joined."""
    if is_class:
        empty = Bins(None, (0,) * predictions.shape[-1])
    else:
        deciles = np.quantile(predictions.reshape(-1), np.arange(1, 10) / 10)
        edges = tuple(float(edge) for edge in np.unique(deciles))
        empty = Bins(edges, (0,) * (len(edges) + 1))
    return Bins(empty.edges, tuple(int(n) for n in empty.count(predictions)))
