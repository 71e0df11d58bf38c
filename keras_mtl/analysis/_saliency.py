"""Which pixels of images move the predictions of each task."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._baselines import read_inputs, take_rows
from keras_mtl.analysis._inside._core import read_core
from keras_mtl.analysis._inside._gradient_maps import GradientMaps
from keras_mtl.analysis._inside._targets import read_targets


def saliency(
    model: keras.Model,
    images: Any,
    tasks: Sequence[Task],
    *,
    targets: Mapping[str, Any] | None = None,
    noise: float = 0.15,
    samples: int = 16,
    batch_size: int = 64,
) -> dict[str, FloatArray]:
    """Maps which pixels move the prediction of each task: gradients, averaged over noisy images.

    The size of the gradient of the task's logit with respect to a pixel (the largest of its
    channels), averaged over copies of the image with Gaussian noise. One pass serves all tasks.

    Choose it for a quick look at where each task looks in an image. It says how sensitive a pixel
    is, not how much it adds, and edges of the image shine through: compare tasks with each other,
    and with a network of random weights, whose maps must differ. Choose `integrated_gradients` for
    contributions that add up.

    Args:
        model: A functional network with one input of images, or a `BalancedModel` of one. It stays
            as it is.
        images: `[rows, height, width, channels]`.
        tasks: The tasks of the network, or some of them.
        targets: By task, the entry of its last axis: see `integrated_gradients`.
        noise: The standard deviation of the noise, as a part of the range of an image's values.
            Defaults to `0.15`.
        samples: The number of noisy copies. Defaults to `16`; with `noise=0`, one is enough.
        batch_size: The number of images that are computed together. Defaults to `64`.

    Returns:
        By task, a map per image, `[rows, height, width]`, at least 0; exactly 0 for a task that
        does not read the image. The noise is the same in each call.

    Raises:
        TypeError: If the model shows no graph.
        ValueError: If the network has several inputs, or arguments do not fit.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("left"), mtl.Task.binary("right")]
        >>> inputs = keras.Input((4, 4, 1))
        >>> halves = {"left": inputs[:, :, :2], "right": inputs[:, :, 2:]}
        >>> outputs = {
        ...     task.name: task.output(keras.layers.Flatten()(halves[task.name])) for task in tasks
        ... }
        >>> maps = saliency(keras.Model(inputs, outputs), np.ones((1, 4, 4, 1)), tasks)
        >>> (maps["left"][0] > 0).any(axis=0).tolist()
        [True, True, False, False]

    Reference:
        Simonyan et al. 2013, arXiv:1312.6034 (gradients); Smilkov et al. 2017, arXiv:1706.03825
        (noise; there the gradients themselves are averaged, here their sizes); Adebayo et al. 2018,
        arXiv:1810.03292 (comparison with random weights).
    """
    core = read_core(model, tasks)
    if len(core.network.inputs) != 1 or len(core.encoders) > 1:
        names = [tensor.name for tensor in core.network.inputs]
        raise ValueError(
            f"the network has the inputs {names}, or preprocessing; expected one input of images."
        )
    if noise < 0 or type(samples) is not int or samples < 1:
        raise ValueError(
            f"noise and samples are {noise!r} and {samples!r}; expected a number of at least 0 and "
            "a whole number of at least 1."
        )
    arrays = read_inputs(images)
    arrays = keras.tree.flatten(arrays)[0].astype("float32")
    if arrays.ndim != 4:
        raise ValueError(
            f"images have shape {arrays.shape}; expected (rows, height, width, channels)."
        )
    maps = GradientMaps(core, read_targets(core.tasks, targets, core.outputs))
    rng = np.random.default_rng(0)
    parts = [
        maps.average(take_rows(arrays, slice(start, start + batch_size)), noise, samples, rng)
        for start in range(0, len(arrays), batch_size)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in core.outputs}
