"""A penalty on steps of a chain that are more probable than the step before them."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._backend import layers_can_measure
from keras_mtl._replicas import add_loss_of_sums, check_added_losses
from keras_mtl._types import Tensor
from keras_mtl.layers._masks import first_mask


@keras.saving.register_keras_serializable(package="keras_mtl")
class ExpectationCalibrator(keras.layers.Layer):
    """Passes logits on, and penalizes them where they exceed the logits of the step before.

    In a chain of events, such as a click and a purchase after it, a later step cannot be more
    probable than an earlier one. The layer adds
    `strength * mean(max(p_later - p_earlier, 0))` to the loss, where `p = sigmoid(logit)`. The
    mean itself is in the logs of training as `<name>_penalty`.

    Args:
        strength: Factor of the penalty, not negative. Defaults to `0.6`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        logits: `[later, earlier]`, of equal shape. Positions that a mask of either leaves out do
            not count.

    Returns:
        The later logits, unchanged.

    Raises:
        ValueError: If the strength is negative or not a number; in training by plain Keras on
            several replicas, which cannot see the global batch.

    Example:
        >>> layer = ExpectationCalibrator(name="purchase_calibrator")
        >>> purchase, click = ops.array([[1.0], [0.0]]), ops.array([[0.0], [1.0]])
        >>> layer([purchase, click]).numpy().tolist()
        [[1.0], [0.0]]
        >>> [round(float(loss), 6) for loss in layer.losses]  # 0.6 * (0.231059 + 0) / 2
        [0.069318]

    Reference:
        Xi et al., KDD 2021, arXiv:2105.08489: the behavioral expectation calibrator. The
        authors' single-purpose code has the strength 0.6, their later code 0.3.
    """

    stops_gradient = True  # for the earlier logits, which only the penalty reads

    def __init__(self, strength: float = 0.6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(strength, int | float) or not 0 <= strength < float("inf"):
            raise ValueError(
                f"{self.name}: strength must be a number of at least 0; received {strength!r}."
            )
        self.supports_masking = True
        self.strength = float(strength)
        self.penalty = MeasuredMean(name=f"{self.name}_penalty")
        self.built = True

    def call(
        self,
        logits: Sequence[Tensor],
        mask: Sequence[Tensor | None] | None = None,
        training: bool | None = None,
    ) -> Tensor:
        """Adds the penalty to the loss, and returns the later logits."""
        check_added_losses(self, training)
        later, earlier = logits
        # strength * mean(max(p_later - p_earlier, 0)), over positions that no mask leaves out
        excess = ops.relu(ops.sigmoid(later) - ops.sigmoid(earlier))
        valid = ops.ones_like(excess)
        for input_mask in mask or ():
            if input_mask is not None:
                valid = valid * ops.expand_dims(ops.cast(input_mask, excess.dtype), -1)
        total, count = ops.sum(excess * valid), ops.sum(valid)
        penalty = ops.divide_no_nan(total, count)
        add_loss_of_sums(self, self._loss, [total, count])
        self.penalty.measures = measures = bool(training) and layers_can_measure()
        if measures:  # docs/keras_notes.md, 142
            self.penalty.update_state(ops.stop_gradient(penalty), sample_weight=count)
        return later

    def _loss(self, total: Tensor, count: Tensor) -> Tensor:
        """Computes `strength` times the mean excess."""
        return self.strength * ops.divide_no_nan(total, count)

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape of either input."""
        return tuple(input_shape[0])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the first mask that exists among the inputs."""
        return first_mask(previous_mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "strength": self.strength}


class MeasuredMean(keras.metrics.Mean):
    """Averages the penalty in training, and stays out of the logs of evaluation.

    Measuring in evaluation as well would write to variables while serving: a layer cannot tell
    evaluation from prediction and export (docs/keras_notes.md, pain 89).
    """

    measures = True

    def result(self) -> Any:
        """Returns the mean, or an empty dictionary, which adds no entry to the logs."""
        return super().result() if self.measures else {}
