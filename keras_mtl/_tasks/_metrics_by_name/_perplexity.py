"""The perplexity of tokens."""

import keras
from keras import ops

from keras_mtl._tasks._metrics_by_name._log_loss import LogLoss
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class Perplexity(LogLoss):
    """Computes the exponential of the mean negative log-likelihood of the labels:

        exp(mean -log p[y])

    It is the number of tokens, all as probable, among which a choice is as uncertain: the size of
    the vocabulary for a network that knows nothing, 1 for one that is always right.

    Args:
        from_logits: Whether predictions are logits. Defaults to `False`.
        name: Name in the logs. Defaults to `"perplexity"`.

    Example:
        >>> metric = Perplexity()
        >>> metric.update_state([0, 1], [[0.5, 0.5], [0.5, 0.5]])
        >>> round(float(metric.result()), 4)
        2.0
    """

    def __init__(self, from_logits: bool = False, name: str = "perplexity") -> None:
        super().__init__(from_logits, name)

    def result(self) -> Tensor:
        """Returns the value so far; 1 without labels."""
        return ops.exp(super().result())
