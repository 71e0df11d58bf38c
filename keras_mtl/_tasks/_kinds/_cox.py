"""The partial likelihood of Cox, over the examples of the global batch."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, get_args

import keras
from keras import ops

from keras_mtl._tasks._kinds._hazards import check_widths
from keras_mtl._tasks._reading import Reading
from keras_mtl._types import Tensor

Ties = Literal["efron", "breslow"]
"""How events at one time are counted."""

_NEVER = -1e30  # a logarithm of 0 with a finite gradient


@keras.saving.register_keras_serializable(package="keras_mtl")
class CoxPartialLikelihood(keras.losses.Loss):
    """Computes the negative logarithm of Cox's partial likelihood, as the mean over the events.

    With the score s_i of an example, the logarithm of its hazard ratio, and the risk set R_i of
    those that were still observed at its time:

        (1 / events) sum_events  log(sum_(j in R_i) exp(s_j)) - s_i

    It is the loss of `Task.survival(method="cox")`. The risk sets are those of the global batch,
    over all replicas: the batch is a sample of the population, and the larger it is, the nearer the
    loss is to that of all data. Without an event in the batch it is 0.

    Args:
        levels: The ends of bins of time, which the metric reads and the loss does not.
        ties: `"efron"`, or `"breslow"`, which is less exact with many events at one time.
        name: Name of the loss.

    Call arguments:
        y_true: Times and events `(batch, 2)`.
        y_pred: Scores `(batch, 1)`.

    Raises:
        ValueError: If `ties` is unknown.

    Example:
        >>> loss = CoxPartialLikelihood()
        >>> labels = ops.array([[1.0, 1.0], [2.0, 0.0], [3.0, 1.0], [4.0, 1.0]])
        >>> scores = ops.array([[0.5], [-0.2], [0.3], [0.0]])
        >>> round(3 * float(loss.call(labels, scores)), 4)  # of three events
        1.6266

    Reference:
        Cox, "Regression Models and Life-Tables", J. R. Stat. Soc. B 34, 1972. Efron, "The
        Efficiency of Cox's Likelihood Function for Censored Data", JASA 72, 1977. Katzman et al.,
        "DeepSurv" (arXiv:1606.00931) for networks; popular code takes the risk sets of each
        device's part of the batch, and ignores ties.
    """

    label_kind: ClassVar[str] = "survival"
    is_likelihood: ClassVar[bool] = True
    reading: ClassVar[Reading] = Reading("batch")

    def __init__(
        self, levels: Sequence[float] = (), ties: Ties = "efron", name: str = "cox"
    ) -> None:
        super().__init__(name=name)
        if ties not in get_args(Ties):
            raise ValueError(f"ties is one of {list(get_args(Ties))}; received {ties!r}")
        self.levels = tuple(float(level) for level in levels)
        self.ties: Ties = ties

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of the batch, a scalar."""
        check_widths(y_true, y_pred, 1)
        labels, scores = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")[:, 0]
        times, is_event = labels[:, 0], labels[:, 1] > 0.5
        # Each example against each other one of the batch: [example, other example].
        at_risk = times[None, :] >= times[:, None]
        logs = ops.logsumexp(ops.where(at_risk, scores[None, :], _NEVER), axis=-1)
        if self.ties == "efron":
            logs = logs + self._correction(times, is_event, scores, logs)
        events = ops.cast(is_event, "float32")
        total = ops.sum(events * (logs - scores))
        return ops.divide_no_nan(total, ops.sum(events))

    def _correction(self, times: Tensor, is_event: Tensor, scores: Tensor, logs: Tensor) -> Tensor:
        """Returns log(1 - (l / d) sum_tied exp(s) / sum_at_risk exp(s)) of the l-th of d events."""
        tied = ops.logical_and(ops.equal(times[None, :], times[:, None]), is_event[None, :])
        positions = ops.arange(ops.shape(times)[0])
        earlier = ops.logical_and(tied, positions[None, :] < positions[:, None])
        rank, size = (ops.sum(ops.cast(of, "float32"), axis=-1) for of in (earlier, tied))
        logs_of_tied = ops.logsumexp(ops.where(tied, scores[None, :], _NEVER), axis=-1)
        share = ops.exp(ops.minimum(logs_of_tied - logs, 0.0)) * ops.divide_no_nan(rank, size)
        # An example without an event may stand before the tied ones: its value is not used.
        return ops.where(is_event, ops.log1p(-ops.where(is_event, share, 0.0)), 0.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        return {"levels": list(self.levels), "ties": self.ties, "name": self.name}
