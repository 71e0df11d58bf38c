"""Labels whose shape a loss cannot take, refused before they broadcast."""

from keras_mtl._tasks._reading import Reading
from keras_mtl._types import Tensor


def check_tensor(labels: Tensor) -> None:
    """Checks that labels are a dense tensor with a known number of axes.

    Raises:
        ValueError: If they are ragged, or the number of axes is unknown.
    """
    if hasattr(labels, "row_splits"):
        raise ValueError("labels are ragged; data.mask_missing(dataset, tasks) makes them dense.")
    if labels.shape is None or getattr(labels.shape, "rank", 0) is None:
        raise ValueError(
            "the number of axes of the labels is unknown; state it with "
            "dataset.map(lambda x, y: (x, {name: tf.ensure_shape(y[name], (None,)), ...}))."
        )


def check_shapes(labels: Tensor, prediction: Tensor, reading: Reading) -> None:
    """Checks the shape of labels against that of a prediction, as far as both are known.

    Raises:
        ValueError: If a loss of Keras would broadcast the labels, or take one-hot labels for
            class numbers.
    """
    label_shape, shape = tuple(labels.shape), tuple(prediction.shape)
    if reading.sparse and len(label_shape) == len(shape) and label_shape[-1] != 1:
        raise ValueError(
            f"labels have shape {label_shape}, as one-hot labels have, and the loss takes class "
            "numbers. Take the argmax of the last axis, or use categorical_crossentropy "
            "(Task.multiclass(..., labels='one_hot'))."
        )
    fits = len(label_shape) == len(shape) and all(
        size == other or None in (size, other)
        for size, other in zip(label_shape, shape, strict=True)
    )
    if reading.dense and not fits:
        raise ValueError(
            f"labels have shape {label_shape} and predictions {shape}; the loss compares them "
            "entry by entry, and shapes that differ would broadcast."
        )
