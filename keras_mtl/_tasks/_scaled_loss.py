"""Labels and predictions in the unit in which a network learns."""

from keras import ops

from keras_mtl._keras_internals import logits_of, mask_of, scale_of, with_mask
from keras_mtl._tasks._scale import Scale
from keras_mtl._types import Tensor


def to_scale(labels: Tensor, prediction: Tensor, scale: Scale | None) -> tuple[Tensor, Tensor]:
    """Returns labels and prediction as the loss compares them.

    The scaled numbers of a prediction are those that the network computed, if it ends in the
    task's scale. Other predictions (of a served model, or of a network that ends otherwise) are
    scaled as labels are.

    Args:
        labels: Labels in their own unit, with the axes of the prediction.
        prediction: The prediction in the same unit.
        scale: The task's scale; with `None`, both are returned as they are.

    Raises:
        ValueError: If the network ends in another scale than the task's.
    """
    in_network = scale_of(prediction)
    if in_network is not None and in_network != scale:
        raise ValueError(
            f"the network ends in the scale {in_network}, and the task has "
            f"{scale or 'no scale'}. Train with the tasks that the network was built from."
        )
    if scale is None:
        return labels, prediction
    scaled = None if in_network is None else logits_of(prediction)
    scaled = scale.forward(prediction) if scaled is None else scaled
    labels = scale.forward(ops.cast(labels, scaled.dtype))
    return labels, with_mask(scaled, mask_of(prediction))
