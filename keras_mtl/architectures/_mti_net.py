"""Interaction of tasks at several scales (Vandenhende et al., 2020)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Part,
    check_maps,
    check_own_weights,
    check_units,
    convolution,
    convolve,
    distil,
    end_towers,
    is_units,
    join,
    read_initial,
    read_inputs,
)
from keras_mtl.layers import FeaturePropagation


def mti_net(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Any = (32, 64, 128),
    tower: Part = (64,),
    initial: Mapping[str, Sequence[Task]] | None = None,
    activation: Any = "relu",
    name: str | None = "mti_net",
) -> keras.Model:
    """Lets tasks exchange what they see at each scale, from coarse to fine.

    At each scale s, coarsest first, each task gets maps `F_ks` from the body's maps and what
    `layers.FeaturePropagation` joins of all tasks' maps at the scale before, and receives
    the others' messages (`layers.AttentiveMessages`):

        O_ks = F_ks + sum_{l != k} sigmoid(V_kls * F_ls) . (W_kls * F_ls)

    Its prediction reads `O_ks` of all scales, enlarged to the finest. Choose it over `pad_net`
    where tasks agree on the large (what is where) and not on the small, and where the body has
    maps of several scales already.

    Args:
        inputs: A `keras.Input` of images `(batch, height, width, channels)`, or the output of a
            preprocessing model, whose own inputs the network then takes.
        tasks: The tasks, with a label for each pixel of the finest map, at least one.
        shared: Channels at each scale, each half as fine as the one before (3x3 convolutions);
            or a recipe or Keras model `images -> maps` that returns a list of maps, finest
            first, whose sizes are multiples of each other. Defaults to `(32, 64, 128)`.
        tower: Channels of the 3x3 convolutions that read a task's maps of all scales, or a
            recipe `maps -> maps` that makes new layers at each call. Defaults to `(64,)`.
        initial: Initial predictions to be trained: for the names of tasks, a list of tasks with
            names of their own, one a scale, finest first; their labels are that task's once
            more. They are enlarged to the finest map. Defaults to none.
        activation: Activation of the layers made from channels. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name, of
        `tasks` and `initial`.

    Raises:
        ValueError: If tasks share a name, features are no maps, sizes of maps are no multiples
            of each other, or `initial` does not fit tasks and scales.
        TypeError: If an argument is of another kind.

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
        Learning, ECCV 2020, arXiv:2001.06902. Single convolutions here for the residual blocks
        there, and a propagation whose softmax runs over tasks (see the layer).
    """
    tasks = check_tasks(tasks)
    initial = {
        key: [each] if isinstance(each, Task) else [*each]
        for key, each in read_initial(initial).items()
    }
    everyone = check_tasks([*tasks, *(task for each in initial.values() for task in each)])
    inputs, images = read_inputs(inputs, everyone)

    scales = _body(shared, images, activation)
    factors = _factors(scales)
    _check_initial(initial, tasks, len(scales))

    maps = _maps(scales, factors, tasks, activation)

    received = [distil(each, tasks, f"_{s}") for s, each in enumerate(maps)]
    tops = {}
    for task in tasks:
        enlarged = [
            _enlarge(each[task.name], factor, f"{task.name}_enlarged_{s}")
            for s, (each, factor) in enumerate(zip(received, factors, strict=True))
        ]
        joined = join(enlarged, f"{task.name}_scales")
        tops[task.name] = convolve(tower, joined, f"{task.name}_tower", activation)
    check_own_weights(tops, [each[task.name] for each in received for task in tasks])

    ends = tops | {
        task.name: _enlarge(maps[s][key], factors[s], f"{task.name}_enlarged")
        for key, each in initial.items()
        for s, task in enumerate(each)
    }
    outputs = end_towers((), ends, everyone, activation)
    return keras.Model(inputs, outputs, name=name)


def _body(shared: Any, images: Tensor, activation: Any) -> list[Tensor]:
    """The body's maps, finest first."""
    if is_units(shared):
        maps: list[Tensor] = []
        for i, channels in enumerate(check_units(shared, "shared_body")):
            check_maps(images, "mti_net")
            images = convolution(channels, activation, f"shared_body_{i}", 2 if i else 1)(images)
            maps.append(images)
    elif callable(shared) and not isinstance(shared, type):
        made = shared(images)
        maps = list(made) if isinstance(made, tuple | list) else [made]
        if not all(isinstance(each, keras.KerasTensor) for each in maps):
            raise TypeError(f"shared: a body returns a list of maps; received {made!r}.")
    else:
        raise TypeError(
            "shared: expected channels such as (32, 64), or a recipe or Keras model that returns "
            f"a list of maps; received {shared!r}."
        )
    if not maps:
        raise ValueError("shared is empty: give the channels of at least one scale.")
    for each in maps:
        check_maps(each, "mti_net")
    return maps


def _factors(scales: Sequence[Tensor]) -> list[int]:
    """How much finer the first map is than each."""
    factors: list[int] = []
    for s, each in enumerate(scales):
        ratios = {
            fine / coarse
            for fine, coarse in zip(scales[0].shape[1:3], each.shape[1:3], strict=True)
            if fine is not None and coarse is not None
        } or {2**s}
        ratio = ratios.pop()
        previous = factors[-1] if factors else 1
        if ratios or ratio != int(ratio) or int(ratio) % previous:
            raise ValueError(
                "shared: each map's height and width must be a whole multiple of the next one's; "
                f"received the shapes {[tensor.shape for tensor in scales]}. Choose a size of the "
                "images that divides, such as a multiple of 32."
            )
        factors.append(int(ratio))
    return factors


def _maps(
    scales: Sequence[Tensor], factors: Sequence[int], tasks: Sequence[Task], activation: Any
) -> list[dict[str, Tensor]]:
    """The maps of each task at each scale, finest first."""
    maps: list[dict[str, Tensor]] = []
    handed: dict[str, Tensor] = {}
    for s in reversed(range(len(scales))):
        channels = scales[s].shape[-1]
        here = {}
        for task in tasks:
            label = f"shared_{task.name}"
            reads = scales[s]
            if handed:
                reads = join([reads, handed[task.name]], f"{label}_reads_{s}")
            here[task.name] = convolution(channels, activation, f"{label}_maps_{s}")(reads)
        maps.insert(0, here)
        if s:
            factor = factors[s] // factors[s - 1]
            handed = _hand_on(here, factor, activation, s)
    return maps


def _hand_on(maps: Mapping[str, Tensor], factor: int, activation: Any, s: int) -> dict[str, Tensor]:
    """What each task hands to the next finer scale: its maps, and what all tasks' maps say."""
    joined = FeaturePropagation(activation, name=f"shared_propagation_{s}")([*maps.values()])
    handed = {}
    for key, own in maps.items():
        label = f"shared_{key}"
        excited = _excite(joined, f"{label}_excitation_{s}")
        total = keras.layers.Add(name=f"{label}_handed_{s}")([own, excited])
        handed[key] = _enlarge(total, factor, f"{label}_enlarged_{s}")
    return handed


def _excite(maps: Tensor, name: str) -> Tensor:
    """Weighs channels by what the whole map holds (squeeze and excitation)."""
    channels = maps.shape[-1]
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(maps)
    hidden = keras.layers.Dense(max(channels // 16, 8), "relu", name=f"{name}_squeeze")(mean)
    weights = keras.layers.Dense(channels, "sigmoid", name=f"{name}_weights")(hidden)
    return keras.layers.Multiply(name=name)([maps, weights])


def _enlarge(maps: Tensor, factor: int, name: str) -> Tensor:
    if factor == 1:
        return maps
    return keras.layers.UpSampling2D(factor, interpolation="bilinear", name=name)(maps)


def _check_initial(
    initial: Mapping[str, Sequence[Task]], tasks: Sequence[Task], count: int
) -> None:
    names = [task.name for task in tasks]
    for key, each in initial.items():
        if key not in names or len(each) != count:
            raise ValueError(
                f"initial[{key!r}]: expected one of the tasks {names} and a list of {count} tasks, "
                f"one a scale; received {[task.name for task in each]}."
            )
