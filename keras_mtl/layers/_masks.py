"""The masks that layers of several inputs pass on."""

from collections.abc import Iterable, Sequence

from keras_mtl._types import Tensor


def first_mask(masks: Iterable[Tensor | None] | None) -> Tensor | None:
    """Returns the first mask that exists, or `None` if no input has one.

    For layers whose inputs share their positions: a mask of any of them holds for the output.

    Args:
        masks: The masks of the inputs, as Keras hands them to `compute_mask`.
    """
    return next((mask for mask in masks or () if mask is not None), None)


def feature_mask(masks: Sequence[Tensor | None] | None) -> Tensor | None:
    """Returns the mask of the first input, or `None` if it has none.

    For layers that read `[features, ...]`: only the features have positions of their own.

    Args:
        masks: The masks of the inputs, as Keras hands them to `compute_mask`.
    """
    return masks[0] if masks else None


def input_masks(
    inputs: Sequence[Tensor], masks: Sequence[Tensor | None] | None
) -> list[Tensor | None]:
    """Returns one mask per input, with `None` for an input without a mask.

    For layers that return one output per input, so that each output keeps its input's mask.

    Args:
        inputs: The inputs.
        masks: Their masks, as Keras hands them to `compute_mask`.
    """
    return list(masks) if masks else [None] * len(inputs)
