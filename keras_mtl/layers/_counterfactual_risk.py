"""The risk of conversion estimates on all impressions, estimated from clicked ones."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor

_WIDTHS = {"ips": 2, "dr": 3}


@keras.saving.register_keras_serializable(package="keras_mtl")
class CounterfactualRisk(keras.losses.Loss):
    """Estimates the loss of conversion estimates on all impressions from the clicked ones.

    Conversions are observed on clicked impressions only, and these are a biased sample:
    impressions that are likely to be clicked are over-represented. With clicks `o`, conversions
    `r`, the estimate `r_hat`, its error `d = BCE(r, r_hat)` and the propensity
    `q = max(p(click), clip)`, an impression contributes

    - `"ips"`, inverse propensity scores: `o d / q`;
    - `"dr"`, doubly robust: `d_hat + o e / q + o e^2 / q` with `e = d - d_hat`, where `d_hat` is
      an error that a separate tower imputes. The first two terms estimate the risk, without
      bias if `q` or `d_hat` is right; the third trains `d_hat`.

    It is the loss of the fourth task of `architectures.escm2`, whose output holds the predictions
    that it needs.

    Args:
        estimator: `"dr"` or `"ips"`. Defaults to `"dr"`.
        clip: The smallest propensity, in (0, 1]; small values give the estimate a high variance.
            Defaults to `0.1`.
        name: Name of the loss.

    Call arguments:
        y_true: The stage that an impression reached, `(batch,)` or `(batch, 1)`: 0 no click, 1 a
            click, 2 a click and a conversion. This is the sum of the labels of the click and of
            the purchase.
        y_pred: `(batch, 2)` or, for `"dr"`, `(batch, 3)`: the logit of the conversion, the logit
            of the click and, for `"dr"`, the imputed error. No gradient passes to the logit of
            the click.

    Raises:
        ValueError: If the estimator is unknown or `clip` is not in (0, 1]; when called, if the
            predictions have another last axis.

    Example:
        >>> risk = CounterfactualRisk("ips", clip=0.25)
        >>> labels, logits = ops.array([0.0, 1.0]), ops.array([[0.0, 0.0], [0.0, 0.0]])
        >>> round(float(risk(labels, logits)), 6)  # log(2) / 0.5, for one of two impressions
        0.693147

    Reference:
        Wang et al., ESCM2: Entire Space Counterfactual Multi-Task Model for Post-Click
        Conversion Rate Estimation, SIGIR 2022, arXiv:2204.05125. Clipping at 0.1 and the stopped
        gradient are from its appendix A. The third term is the one of `escm2` in PaddleRec,
        where inverse propensities are divided by the squared number of clicks; those of the
        paper, and of this loss, are not.
    """

    def __init__(
        self, estimator: str = "dr", clip: float = 0.1, name: str = "counterfactual_risk"
    ) -> None:
        super().__init__(name=name)
        if estimator not in _WIDTHS:
            raise ValueError(f"estimator must be one of {[*_WIDTHS]}; received {estimator!r}.")
        if not 0.0 < clip <= 1.0:
            raise ValueError(f"clip must be in (0, 1]; received {clip!r}.")
        self.estimator = estimator
        self.clip = float(clip)

    @property
    def width(self) -> int:
        """The size of the last axis of the predictions."""
        return _WIDTHS[self.estimator]

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes `o d / q`, or `d_hat + o e / q + o e^2 / q`: one loss per impression."""
        if y_pred.shape[-1] != self.width:
            raise ValueError(
                f"{self.name}: {self.estimator!r} needs predictions (batch, {self.width}), as "
                f"architectures.escm2 makes them; received the shape {y_pred.shape}."
            )
        stage = ops.reshape(ops.cast(y_true, y_pred.dtype), (-1,))  # batch
        clicked = ops.cast(stage > 0.5, y_pred.dtype)
        logit = y_pred[:, 0]
        # d = -log r_hat where converted, -log(1 - r_hat) where not.
        error = ops.softplus(ops.where(stage > 1.5, -logit, logit))
        propensity = ops.stop_gradient(ops.sigmoid(y_pred[:, 1]))
        inverse_propensity = clicked / ops.maximum(propensity, self.clip)  # o / q
        if self.estimator == "ips":
            return inverse_propensity * error
        deviation = error - y_pred[:, 2]  # e = d - d_hat
        return y_pred[:, 2] + inverse_propensity * (deviation + ops.square(deviation))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal loss."""
        return {"estimator": self.estimator, "clip": self.clip, "name": self.name}
