"""Random changes of images, and of the labels of their pixels."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import read_element
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
    nearest pixel, and left alone where only colors change. Their weights are moved too, so that a
    pixel without a label stays without one. Labels of whole images stay as they are: do not flip
    images that are labeled left or right, and do not crop images whose objects are counted.

    Choose it for training data only, after `.batch()`. The random draws continue from epoch to
    epoch; the `seed` of a layer fixes them. A saved iterator does not include their state.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`, with images `(batch, height, width,
            channels)`.
        layers: Keras layers for images, applied in order.
        tasks: The tasks; those whose labels are `(batch, height, width)` or `(batch, height,
            width, n)` follow the image.
        key: The input that holds the images, where inputs are a dict.

    Returns:
        A dataset of `(x, y, w)`, of the same cardinality.

    Raises:
        TypeError: If inputs are not batches of images.
        ValueError: If a task has no label, or a label belongs to no task.

    Example:
        >>> x, y = tf.reshape(tf.range(4.0), (1, 2, 2, 1)), tf.reshape(tf.range(4), (1, 2, 2))
        >>> dataset = tf.data.Dataset.from_tensors((x, {"parts": y}))
        >>> layers = [keras.layers.RandomFlip("horizontal", seed=3)]
        >>> x, y, _ = next(iter(augment(dataset, layers, [Task.segmentation("parts", 4)])))
        >>> bool((x[..., 0].numpy() == y["parts"].numpy()).all())
        True
    """
    tasks = check_tasks(tasks)
    element = read_element(dataset, tasks)
    spec = element.inputs if key is None else element.inputs[key]
    if not isinstance(spec, tf.TensorSpec) or spec.shape.rank != 4:
        raise TypeError(
            f"expected batches of images (batch, height, width, channels); received {spec}. Batch "
            "the dataset, or give the key of the images."
        )
    pixelwise = [task.name for task in tasks if element.labels[task.name].shape.rank >= 3]

    def change(x: Any, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        y = dict(y)
        w = {task.name: _label_weights(y[task.name], w, task) for task in tasks}
        planes = [_to_plane(entries[name]) for name in pixelwise for entries in (y, w)]
        images, planes = _apply(layers, x if key is None else x[key], planes)
        for name in pixelwise:
            for entries in (y, w):
                entries[name] = _from_plane(planes.pop(0), entries[name])
        return (images if key is None else {**x, key: images}), y, w

    return dataset.map(change)


def _label_weights(label: Any, weights: Mapping[str, Any] | None, task: Task) -> tf.Tensor:
    return merge_weights(tf.ones_like(label, tf.float32), weights, task)


def _apply(
    layers: Sequence[keras.layers.Layer], images: tf.Tensor, planes: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Passes images and planes through the layers, all planes as channels of one mask."""
    sizes = [plane.shape[-1] for plane in planes]
    # Keras's layers apply one random draw to all entries of this dict.
    inputs = {"images": tf.cast(images, tf.float32)}
    if planes:
        inputs["segmentation_masks"] = tf.concat(planes, -1)
    for layer in layers:
        inputs = layer(inputs, training=True)
    masks = inputs.get("segmentation_masks")
    return inputs["images"], list(tf.split(masks, sizes, -1)) if planes else []


def _to_plane(label: tf.Tensor) -> tf.Tensor:
    """Returns labels of pixels as float32 channels, which hold whole numbers up to 2^24."""
    label = tf.cast(label, tf.float32)
    return label[..., tf.newaxis] if label.shape.rank == 3 else label


def _from_plane(plane: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Returns a moved plane in the rank and dtype that the label had."""
    if label.shape.rank == 3:
        plane = plane[..., 0]
    return tf.cast(tf.round(plane) if label.dtype.is_integer else plane, label.dtype)
