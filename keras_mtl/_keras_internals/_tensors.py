"""What hangs on tensors: masks of sequences, and the logits behind probabilities.

Keras sets both. This package sets, where logits stand, also the scaled numbers behind predictions
in the unit of the labels. All are attributes of the tensor (docs/keras_notes.md, pains 20 and 21).
Any operation that does not know of them loses them, and losses and metrics then read other numbers.
"""

from typing import Any

from keras.src.backend.common.symbolic_scope import in_symbolic_scope

from keras_mtl._types import Tensor


def mask_of(tensor: Any) -> Tensor | None:
    """Returns the mask of a tensor, bool `(batch, time)`; `None` where it has none."""
    return getattr(tensor, "_keras_mask", None)


def with_mask(tensor: Tensor, mask: Tensor | None) -> Tensor:
    """Returns the tensor itself, with a mask from now on; as it is where there is none."""
    if mask is not None:
        tensor._keras_mask = mask
    return tensor


def logits_of(prediction: Any) -> Tensor | None:
    """Returns the logits that sigmoid or softmax made a prediction of, if Keras knows them.

    Keras's cross-entropies read them in the place of probabilities, which lose all digits where
    the prediction is near 0 or 1.
    """
    return getattr(prediction, "_keras_logits", None)


def with_logits(prediction: Tensor, logits: Tensor | None) -> Tensor:
    """Returns the prediction itself, with logits from now on; as it is where there are none."""
    if logits is not None:
        prediction._keras_logits = logits
    return prediction


def with_parameters(prediction: Tensor, numbers: Tensor) -> Tensor:
    """Returns the prediction itself, with the numbers that it was computed of from now on.

    They stand where logits do, so that whatever keeps logits keeps them. They are not the logits of
    its entries: a mean has the parameters of a distribution, a survival curve its hazards.

    Args:
        prediction: A prediction `(batch, ..., units)`.
        numbers: What the loss reads in its place, `(batch, ..., any)`.
    """
    prediction = with_logits(prediction, numbers)
    prediction._mtl_parameters = True
    return prediction


def is_shape_inference() -> bool:
    """Returns whether operations run on placeholders, to find out shapes alone.

    Keras builds losses and metrics so, of predictions that have lost what hangs on tensors
    (docs/keras_notes.md, pain 137).
    """
    return bool(in_symbolic_scope())


def has_parameters(prediction: Any) -> bool:
    """Returns whether other numbers than logits stand where logits do."""
    return getattr(prediction, "_mtl_parameters", False)


def with_scaled(prediction: Tensor, scaled: Tensor | None, scale: Any) -> Tensor:
    """Returns the prediction itself, with the numbers that the network learns from now on.

    They stand where logits do, so that whatever keeps logits keeps them.

    Args:
        prediction: A prediction in the unit of the labels.
        scaled: The same in the unit of the scale.
        scale: The scale; with `None`, the prediction stays as it is.
    """
    if scale is not None:
        prediction = with_logits(prediction, scaled)
        prediction._mtl_scale = scale
    return prediction


def scale_of(prediction: Any) -> Any:
    """Returns the scale whose numbers stand where logits do; `None` where there are none."""
    return getattr(prediction, "_mtl_scale", None)
