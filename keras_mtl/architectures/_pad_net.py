"""Prediction and distillation in one network (Xu et al., 2018)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation
from keras_mtl.architectures._building import (
    Part,
    Tower,
    add_messages,
    check_maps,
    check_separate_variables,
    convolve,
    end_towers,
    read_initial_predictions,
    read_inputs,
    towers_by_name,
)


def pad_net(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (64, 64),
    features: Part = (64,),
    tower: Tower = (64,),
    initial: Mapping[str, Task] | None = None,
    activation: Activation = "relu",
    name: str | None = "pad_net",
) -> keras.Model:
    """Predicts every pixel of all tasks twice: first roughly, then with the other tasks' features.

    From the shared maps each task k gets its own maps F_k, from which an initial prediction may
    be trained. Then it receives the messages of the other tasks (`layers.AttentiveMessages`),
    with 3x3 convolutions V_kl and W_kl for each other task l, and predicts by its tower h_k:

        O_k = F_k + sum_{l != k} sigmoid(V_kl * F_l) . (W_kl * F_l)
        y_k = h_k(O_k)

    Here * is a convolution and . the product of the entries. Choose it for tasks of the same
    pixels that explain each other (depth, normals, edges, parts). It has two convolutions for
    each ordered pair of tasks. Where tasks agree at one scale and not at another, choose
    `mti_net`, which does this at each scale.

    Guide:
        Kind: dense prediction
        Shares: a body; first predictions help the final ones
        Choose it when: there are several per-pixel tasks
        Not when: outputs are not maps
        Source: Xu et al. 2018, arXiv:1805.04409

    Args:
        inputs: A `keras.Input` of images `(batch, height, width, channels)`, or the output of a
            preprocessing model or body, whose own inputs the network then takes.
        tasks: The tasks, with a label for each pixel of the shared maps, at least one.
        shared: Channels of the 3x3 convolutions of the body, a recipe `images -> maps`, or a
            Keras model or layer. Defaults to `(64, 64)`.
        features: Channels of the 3x3 convolutions that make each task's maps, or a recipe
            `maps -> maps` that makes new layers at each call. Defaults to `(64,)`.
        tower: The same for the layers that read the maps with the messages. A dict gives each task
            a tower of its own (`None` stands for all others). Defaults to `(64,)`.
        initial: Initial predictions to be trained: tasks with names of their own, by the name
            of the task whose maps they read; their labels are the labels of that task again.
            Under any other key, a task that is predicted from maps of its own, which send
            messages but receive none (edges, when only depth is asked for). Defaults to none.
        activation: Activation of the layers made from channels. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name, of
        `tasks` and `initial`.

    Raises:
        ValueError: If tasks share a name or the features are not maps.
        TypeError: If an argument is of another type.

    Example:
        >>> import dataclasses
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.segmentation("parts", 7), mtl.Task.segmentation("edges", 2)]
        >>> initial = {
        ...     task.name: dataclasses.replace(task, name=f"initial_{task.name}") for task in tasks
        ... }
        >>> network = mtl.architectures.pad_net(
        ...     keras.Input((32, 32, 3)), tasks, shared=(8,), features=(8,), initial=initial
        ... )
        >>> network.compile("adam", **mtl.compile_args([*tasks, *initial.values()]))
        >>> sorted(network.output)
        ['edges', 'initial_edges', 'initial_parts', 'parts']

    Reference:
        Xu et al., PAD-Net: Multi-Tasks Guided Prediction-and-Distillation Network for
        Simultaneous Depth Estimation and Scene Parsing, CVPR 2018, arXiv:1805.04409. The
        messages are those of Vandenhende et al., arXiv:2001.06902, whose code for PAD-Net
        lets the sender's maps decide what passes, and whose decoders are residual blocks.
    """
    tasks = check_tasks(tasks)
    initial = read_initial_predictions(initial)
    all_tasks = check_tasks([*tasks, *initial.values()])
    inputs, images = read_inputs(inputs, all_tasks)

    body = convolve(shared, images, "shared_body", activation, shared=True)
    check_maps(body, "pad_net")

    # Keys of `initial` that name no task have maps too: theirs only send messages.
    names = [task.name for task in tasks]
    keys = [*names, *(key for key in initial if key not in names)]
    maps = {key: convolve(features, body, f"shared_{key}_maps", activation) for key in keys}
    check_separate_variables(maps, [body])

    distilled = add_messages(maps, tasks)
    final_maps = {
        name: convolve(part, distilled[name], f"{name}_tower", activation)
        for name, part in towers_by_name(tower, names).items()
    }
    check_separate_variables(final_maps, distilled.values())

    initial_maps = {task.name: maps[key] for key, task in initial.items()}
    outputs = end_towers((), final_maps | initial_maps, all_tasks, activation)
    return keras.Model(inputs, outputs, name=name)
