"""The contenders: a small U-Net as the body, and four ways to share it."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import ops

import keras_mtl as mtl
from keras_mtl import Task, architectures, data

WIDTH = 12


def angle_loss(y_true, y_pred):
    """Computes 1 minus the cosine between the normals of each pixel."""
    return 1 - ops.sum(y_true * y_pred, axis=-1)


def unit_normals(features):
    """Ends a tower in three numbers of length 1."""
    return keras.layers.UnitNormalization()(keras.layers.Dense(3)(features))


def make_tasks(classes):
    """Returns the three tasks."""
    return [
        Task.segmentation("parts", classes, metrics=()),
        Task("depth", head=mtl.Head(1), loss="mean_absolute_error"),
        Task("normals", head=unit_normals, loss=angle_loss, reads="last axis"),
    ]


def _conv(x, units, name, **options):
    layer = keras.layers.Conv2D(units, 3, padding="same", activation="relu", name=name, **options)
    return layer(x)


def unet(size, name="shared_unet"):
    """Builds a U-Net of three scales from images to maps of the same size."""
    images = keras.Input((*size, 3))
    fine = _conv(images, WIDTH, "in_fine")
    middle = _conv(fine, 2 * WIDTH, "in_middle", strides=2)
    coarse = _conv(_conv(middle, 4 * WIDTH, "down", strides=2), 4 * WIDTH, "in_coarse")
    up = keras.layers.UpSampling2D(name="up_middle")(coarse)
    middle = _conv(keras.layers.Concatenate()([up, middle]), 2 * WIDTH, "out_middle")
    up = keras.layers.UpSampling2D(name="up_fine")(middle)
    fine = _conv(keras.layers.Concatenate()([up, fine]), 2 * WIDTH, "out_fine")
    return keras.Model(images, fine, name=name)


def pyramid(size):
    """Builds the same body with its maps of two scales, finest first, for MTI-Net."""
    body = unet(size)
    maps = [body.get_layer(name).output for name in ("out_fine", "out_middle")]
    return keras.Model(body.input, maps, name="shared_pyramid")


def _tower(x):
    return keras.layers.Conv2D(WIDTH, 3, padding="same", activation="relu")(x)


def build(name, tasks, size):
    """Builds a contender; returns it with all tasks that it predicts, first ones too."""
    images = keras.Input((*size, 3), name="image")
    if name == "MTAN":
        attend = ["in_fine", "in_middle", "in_coarse", "out_middle", "out_fine"]
        settings = {"body": unet(size), "attend": attend, "tower": _tower}
        return architectures.mtan(images, tasks, **settings), tasks
    first = {task.name: dataclasses.replace(task, name=f"first_{task.name}") for task in tasks}
    if name == "PAD-Net":
        settings = {"shared": unet(size), "features": (WIDTH,), "tower": (WIDTH,)}
        network = architectures.pad_net(images, tasks, initial=first, **settings)
        return network, [*tasks, *first.values()]
    if name == "MTI-Net":
        scales = {
            task.name: [
                dataclasses.replace(task, name=f"{start}_{task.name}")
                for start in ("first", "coarse")
            ]
            for task in tasks
        }
        settings = {"shared": pyramid(size), "tower": (WIDTH,), "initial": scales}
        network = architectures.mti_net(images, tasks, **settings)
        return network, [*tasks, *(task for pair in scales.values() for task in pair)]
    return architectures.hard_sharing(images, tasks, shared=unet(size), tower=_tower), tasks


def train(name, tasks, images, labels, epochs, balancer=None, batch_size=16):
    """Trains a contender; unlabeled pixels (NaN) count nothing."""
    network, every = build(name, tasks, images.shape[1:3])
    labels = {task.name: labels[task.name.split("_")[-1]] for task in every}
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images))
    batches = data.mask_missing(batches.batch(batch_size), every)
    model = mtl.BalancedModel(network, every, balancer) if balancer else network
    model.compile(keras.optimizers.Adam(3e-3), **({} if balancer else mtl.compile_args(every)))
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)
    return network


def predict(models, images, batch=50):
    """Returns the predictions by task of one network, or of one for each task."""
    result = {}
    for model in models:
        parts = [model(images[k : k + batch], training=False) for k in range(0, len(images), batch)]
        result |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return result
