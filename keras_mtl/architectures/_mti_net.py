"""Interaction of tasks at several scales (Vandenhende et al., 2020)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Tower,
    add_messages,
    check_maps,
    check_separate_variables,
    check_units,
    convolution_layer,
    convolve,
    end_towers,
    is_units,
    join_features,
    read_initial_predictions,
    read_inputs,
    towers_by_name,
)
from keras_mtl.layers import FeaturePropagation


def mti_net(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Any = (32, 64, 128),
    tower: Tower = (64,),
    initial: Mapping[str, Sequence[Task]] | None = None,
    activation: Activation = "relu",
    name: str | None = "mti_net",
) -> keras.Model:
    """Lets tasks exchange features at each scale, from the coarsest scale to the finest.

    At each scale s, coarsest first, task k gets maps F_ks from the body's maps and from the
    maps of all tasks at the scale before, joined by `layers.FeaturePropagation`. It then
    receives the messages of the other tasks (`layers.AttentiveMessages`), with 3x3 convolutions
    V_kls and W_kls for each other task l:

        O_ks = F_ks + sum_{l != k} sigmoid(V_kls * F_ls) . (W_kls * F_ls)

    Here * is a convolution and . the product of the entries. The prediction of task k reads
    O_ks of all scales, enlarged to the finest. Choose it over `pad_net` where tasks agree on
    the coarse structure (which object is where) and not on the details, and where the body
    already has maps of several scales.

    Guide:
        Kind: dense prediction
        Shares: a body; at several scales, first predictions help the final ones
        Choose it when: there are several per-pixel tasks on a pyramid of feature maps
        Not when: the body has one scale
        Source: Vandenhende et al. 2020, arXiv:2001.06902

    Args:
        inputs: A `keras.Input` of images `(batch, height, width, channels)`, or the output of a
            preprocessing model, whose own inputs the network then takes.
        tasks: The tasks, with a label for each pixel of the finest map, at least one.
        shared: Channels at each scale, where each scale is half as fine as the one before (3x3
            convolutions); or a recipe or Keras model `images -> maps` that returns a list of
            maps, finest first, whose sizes are multiples of each other. Defaults to
            `(32, 64, 128)`.
        tower: Channels of the 3x3 convolutions that read a task's maps of all scales, or a recipe
            `maps -> maps` that makes new layers at each call. A dict gives each task a tower of its
            own (`None` stands for all others). Defaults to `(64,)`.
        initial: Initial predictions to be trained: for the name of a task, a list of tasks with
            names of their own, one per scale, finest first. Their labels are the labels of that
            task again. They are enlarged to the finest map. Defaults to none.
        activation: Activation of the layers made from channels. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name, of
        `tasks` and `initial`.

    Raises:
        ValueError: If tasks share a name, features are not maps, sizes of maps are not
            multiples of each other, or `initial` does not fit tasks and scales.
        TypeError: If an argument is of another type.

    Example:
        >>> import dataclasses
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.segmentation("parts", 7), mtl.Task.segmentation("edges", 2)]
        >>> initial = {
        ...     task.name: [dataclasses.replace(task, name=f"{task.name}_at_{s}") for s in range(2)]
        ...     for task in tasks
        ... }
        >>> network = mtl.architectures.mti_net(
        ...     keras.Input((32, 32, 3)), tasks, shared=(8, 16), tower=(8,), initial=initial
        ... )
        >>> network.output["edges_at_1"].shape
        (None, 32, 32, 2)

    Reference:
        Vandenhende et al., MTI-Net: Multi-Scale Task Interaction Networks for Multi-Task
        Learning, ECCV 2020, arXiv:2001.06902. Here are single convolutions instead of the
        residual blocks there, and a propagation whose softmax runs over tasks (see the layer).
    """
    tasks = check_tasks(tasks)
    initial = _read_scales(initial)
    all_tasks = check_tasks([*tasks, *(task for scales in initial.values() for task in scales)])
    inputs, images = read_inputs(inputs, all_tasks)

    # Lists by scale are finest first, and so are the factors by which maps are enlarged.
    body_maps = _apply_body(shared, images, activation)
    factors = _factors_to_finest(body_maps)
    _check_initial(initial, tasks, len(body_maps))

    task_maps = _task_maps(body_maps, factors, tasks, activation)
    distilled = [add_messages(maps, tasks, f"_{s}") for s, maps in enumerate(task_maps)]

    features = _apply_towers(tower, distilled, factors, tasks, activation)
    for key, scales in initial.items():
        for s, task in enumerate(scales):
            maps = _enlarge(task_maps[s][key], factors[s], f"{task.name}_enlarged")
            features[task.name] = maps

    outputs = end_towers((), features, all_tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _read_scales(initial: Any) -> dict[str, list[Task]]:
    """Returns the initial predictions as a list of tasks for each key."""
    return {
        key: [entry] if isinstance(entry, Task) else [*entry]
        for key, entry in read_initial_predictions(initial).items()
    }


def _check_initial(
    initial: Mapping[str, Sequence[Task]], tasks: Sequence[Task], num_scales: int
) -> None:
    """Checks that initial predictions belong to a task and that there is one for each scale."""
    names = [task.name for task in tasks]
    for key, scales in initial.items():
        if key not in names or len(scales) != num_scales:
            raise ValueError(
                f"initial[{key!r}]: expected one of the tasks {names} and a list of {num_scales} "
                f"tasks, one per scale; received {[task.name for task in scales]}."
            )


def _apply_body(shared: Any, images: Tensor, activation: Activation) -> list[Tensor]:
    """Returns the body's maps, finest first."""
    if is_units(shared):
        maps = _convolve_scales(shared, images, activation)
    elif callable(shared) and not isinstance(shared, type):
        result = shared(images)
        maps = list(result) if isinstance(result, tuple | list) else [result]
        if not all(isinstance(tensor, keras.KerasTensor) for tensor in maps):
            raise TypeError(f"shared: a body returns a list of maps; received {result!r}.")
    else:
        raise TypeError(
            "shared: expected channels such as (32, 64), or a recipe or Keras model that returns "
            f"a list of maps; received {shared!r}."
        )
    if not maps:
        raise ValueError("shared is empty: give the channels of at least one scale.")
    for tensor in maps:
        check_maps(tensor, "mti_net")
    return maps


def _convolve_scales(shared: Any, images: Tensor, activation: Activation) -> list[Tensor]:
    """Builds the body from channels: a convolution per scale, each of which halves the size."""
    maps: list[Tensor] = []
    for i, channels in enumerate(check_units(shared, "shared_body")):
        check_maps(images, "mti_net")
        strides = 2 if i else 1  # the first scale keeps the size of the images
        images = convolution_layer(channels, activation, f"shared_body_{i}", strides)(images)
        maps.append(images)
    return maps


def _factors_to_finest(body_maps: Sequence[Tensor]) -> list[int]:
    """Returns for each scale how many times finer the first map is.

    Raises:
        ValueError: If a map's size is not a whole multiple of the next one's.
    """
    factors: list[int] = []
    for s, maps in enumerate(body_maps):
        # Unknown sizes are taken as those of a body that halves the size at each scale.
        ratios = {
            fine / coarse
            for fine, coarse in zip(body_maps[0].shape[1:3], maps.shape[1:3], strict=True)
            if fine is not None and coarse is not None
        } or {2**s}
        ratio = ratios.pop()
        previous = factors[-1] if factors else 1
        if ratios or ratio != int(ratio) or int(ratio) % previous:
            raise ValueError(
                "shared: each map's height and width must be a whole multiple of the next one's; "
                f"received the shapes {[tensor.shape for tensor in body_maps]}. Choose a size of "
                "the images that divides, such as a multiple of 32."
            )
        factors.append(int(ratio))
    return factors


def _task_maps(
    body_maps: Sequence[Tensor],
    factors: Sequence[int],
    tasks: Sequence[Task],
    activation: Activation,
) -> list[dict[str, Tensor]]:
    """Computes the maps F_ks of each task at each scale, finest first."""
    maps_by_scale: list[dict[str, Tensor]] = []
    handed: dict[str, Tensor] = {}  # empty at the coarsest scale
    for s in reversed(range(len(body_maps))):
        channels = body_maps[s].shape[-1]
        maps = {}
        for task in tasks:
            label = f"shared_{task.name}"
            reads = body_maps[s]
            if handed:
                reads = join_features([reads, handed[task.name]], f"{label}_reads_{s}")
            maps[task.name] = convolution_layer(channels, activation, f"{label}_maps_{s}")(reads)
        maps_by_scale.insert(0, maps)
        if s:
            handed = _hand_on(maps, factors[s] // factors[s - 1], activation, s)
    return maps_by_scale


def _hand_on(
    maps: Mapping[str, Tensor], factor: int, activation: Activation, s: int
) -> dict[str, Tensor]:
    """Computes the maps that each task hands to the next finer scale.

    They are the task's maps plus the joined maps of all tasks, weighed by channel.
    """
    joined = FeaturePropagation(activation, name=f"shared_propagation_{s}")([*maps.values()])
    handed = {}
    for key, task_maps in maps.items():
        label = f"shared_{key}"
        excited = _excite(joined, f"{label}_excitation_{s}")
        total = keras.layers.Add(name=f"{label}_handed_{s}")([task_maps, excited])
        handed[key] = _enlarge(total, factor, f"{label}_enlarged_{s}")
    return handed


def _excite(maps: Tensor, name: str) -> Tensor:
    """Weighs channels by their mean over the whole map (squeeze and excitation)."""
    channels = maps.shape[-1]
    # (batch, 1, 1, channels), which the product spreads over all pixels
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(maps)
    hidden = keras.layers.Dense(max(channels // 16, 8), "relu", name=f"{name}_squeeze")(mean)
    weights = keras.layers.Dense(channels, "sigmoid", name=f"{name}_weights")(hidden)
    return keras.layers.Multiply(name=name)([maps, weights])


def _apply_towers(
    tower: Tower,
    distilled: Sequence[Mapping[str, Tensor]],
    factors: Sequence[int],
    tasks: Sequence[Task],
    activation: Activation,
) -> dict[str, Tensor]:
    """Maps the O_ks of all scales, enlarged to the finest and joined, through each task's tower."""
    features = {}
    parts = towers_by_name(tower, [task.name for task in tasks])
    for task in tasks:
        enlarged = [
            _enlarge(maps[task.name], factor, f"{task.name}_enlarged_{s}")
            for s, (maps, factor) in enumerate(zip(distilled, factors, strict=True))
        ]
        joined = join_features(enlarged, f"{task.name}_scales")
        features[task.name] = convolve(parts[task.name], joined, f"{task.name}_tower", activation)
    check_separate_variables(features, [maps[task.name] for maps in distilled for task in tasks])
    return features


def _enlarge(maps: Tensor, factor: int, name: str) -> Tensor:
    """Enlarges maps by bilinear interpolation; leaves them as they are if the factor is 1."""
    if factor == 1:
        return maps
    return keras.layers.UpSampling2D(factor, interpolation="bilinear", name=name)(maps)
