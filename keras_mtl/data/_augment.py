"""Changes images and the labels of their pixels together."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import check_keys, split_element
from keras_mtl.data._elements._merge_weights import merge_weights


def augment(
    dataset: tf.data.Dataset,
    layers: Sequence[keras.layers.Layer],
    tasks: Sequence[Task],
    *,
    key: str | None = None,
) -> tf.data.Dataset:
    """Changes images at random, and the labels of their pixels with them.

    The layers are Keras's: `RandomFlip`, `RandomRotation`, `RandomZoom`, `RandomTranslation`,
    `RandomCrop`, `RandomBrightness`, ... Labels of pixels are moved as the image is, each to the
    nearest pixel, and left alone where only colors change; so are their weights, so that a
    pixel without label stays without. Labels of whole images stay as they are: do not flip
    what is labeled left or right, nor crop what is counted.

    Choose it for training data only, behind `.batch()`. The draws go on from epoch to epoch; a
    layer's `seed` fixes them. They are no part of an iterator that is saved.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`, with images `(batch, height, width,
            channels)`.
        layers: Keras layers for images, applied in order.
        tasks: The tasks; those whose labels are `(batch, height, width)` or `(batch, height,
            width, n)` follow the image.
        key: Which input holds the images, where inputs are a dict.

    Returns:
        A dataset of `(x, y, w)`, of the same cardinality.

    Raises:
        TypeError: If inputs are not batches of images.
        ValueError: If a task has no label or a label no task.

    Example:
        >>> x, y = tf.reshape(tf.range(4.0), (1, 2, 2, 1)), tf.reshape(tf.range(4), (1, 2, 2))
        >>> dataset = tf.data.Dataset.from_tensors((x, {"parts": y}))
        >>> layers = [keras.layers.RandomFlip("horizontal", seed=3)]
        >>> x, y, _ = next(iter(augment(dataset, layers, [Task.segmentation("parts", 4)])))
        >>> bool((x[..., 0].numpy() == y["parts"].numpy()).all())
        True
    """
    tasks = check_tasks(tasks)
    inputs, labels, weights = split_element(dataset)
    check_keys(labels, tasks, "label", complete=True)
    check_keys(weights, tasks, "sample weight", complete=False)
    spec = inputs if key is None else inputs[key]
    if not isinstance(spec, tf.TensorSpec) or spec.shape.rank != 4:
        raise TypeError(
            f"expected batches of images (batch, height, width, channels); received {spec}. Batch "
            "the dataset, or give the key of the images."
        )
    moved = [task.name for task in tasks if labels[task.name].shape.rank >= 3]

    def change(x: Any, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        w = {task.name: _weights(y[task.name], w, task) for task in tasks}
        planes = [_planes(each[name]) for name in moved for each in (y, w)]
        images, planes = _apply(layers, x if key is None else x[key], planes)
        y = dict(y)
        for name in moved:
            for each in (y, w):
                each[name] = _unplane(planes.pop(0), each[name])
        return (images if key is None else {**x, key: images}), y, w

    return dataset.map(change)


def _weights(label: Any, given: Mapping[str, Any] | None, task: Task) -> tf.Tensor:
    return merge_weights(tf.ones_like(label, tf.float32), given, task)


def _apply(
    layers: Sequence[keras.layers.Layer], images: tf.Tensor, planes: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Passes images and planes through the layers, all planes as channels of one mask."""
    sizes = [plane.shape[-1] for plane in planes]
    together = {"images": tf.cast(images, tf.float32)}
    if planes:
        together["segmentation_masks"] = tf.concat(planes, -1)
    for layer in layers:
        together = layer(together, training=True)
    masks = together.get("segmentation_masks")
    return together["images"], list(tf.split(masks, sizes, -1)) if planes else []


def _planes(label: tf.Tensor) -> tf.Tensor:
    """Labels of pixels as float32 channels, which hold whole numbers to 2^24."""
    label = tf.cast(label, tf.float32)
    return label[..., tf.newaxis] if label.shape.rank == 3 else label


def _unplane(plane: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    if label.shape.rank == 3:
        plane = plane[..., 0]
    return tf.cast(tf.round(plane) if label.dtype.is_integer else plane, label.dtype)
