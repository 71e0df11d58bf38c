"""Tasks that read the outputs of the tasks before them (Dai et al., 2016)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks, prediction_in_scale
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    apply_part,
    check_separate_variables,
    end_towers,
    join_features,
    read_inputs,
    towers_by_name,
)
from keras_mtl.layers import StopGradient

_FEEDS = ("prediction", "hidden")


def cascade(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (128, 64),
    tower: Tower = (32,),
    feed: str = "prediction",
    stop_gradient: bool = False,
    activation: Activation = "relu",
    name: str | None = "cascade",
) -> keras.Model:
    """Feeds the output of each task to the tasks after it, beside the shared features.

    The prediction of task k is

        y_k = h_k([f(x), u_1, ..., u_{k-1}])

    where `f` is the shared body, `h_k` is the tower with its head, and `u_j` is the prediction
    `y_j` of an earlier task or the hidden features below it.

    Choose it where tasks build on each other (the kind of a word before its role) and the order
    is known; `hard_sharing` costs less where it is not. A prediction contains only the labeled
    quantity; hidden features contain more, and the later tasks change them unless gradients are
    stopped. An output without positions, `(batch, units)`, is not repeated over the positions of
    a sequence.

    Guide:
        Kind: chains of tasks
        Shares: one body; the output of each task feeds the later tasks
        Choose it when: one task is evidence for another
        Not when: errors of an early task would spread to the later ones
        Source: Dai et al. 2016, arXiv:1512.04412

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. A body that is not given as units may read other types.
        tasks: The tasks in the order of the cascade, at least one.
        shared: Units of the shared body, a recipe `features -> features`, or a Keras model or
            layer. Defaults to `(128, 64)`.
        tower: Units of each task's tower, or a recipe `features -> features` that makes new layers
            at each call. A dict gives each task a tower of its own (`None` stands for all others).
            Defaults to `(32,)`.
        feed: The output that later tasks read: `"prediction"` (a probability, not a logit; of a
            task with a scale, the scaled number) or `"hidden"`, the end of the tower. Defaults to
            `"prediction"`.
        stop_gradient: Whether gradients stop at the fed outputs, so that the losses of later tasks
            do not train the outputs of earlier ones. Defaults to `False`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `feed` is unknown, or the
            output that is fed cannot be joined to the features.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.multiclass("language", 4), mtl.Task.binary("spam")]
        >>> network = mtl.architectures.cascade(keras.Input((8,)), tasks, shared=(16,))
        >>> network.get_layer("spam_reads").output.shape  # 16 features and 4 probabilities
        (None, 20)

    Reference:
        Dai et al., Instance-aware Semantic Segmentation via Multi-task Network Cascades, CVPR
        2016, arXiv:1512.04412 (features are shared, each stage reads the stages before, and all
        are trained end to end); Read et al., Classifier Chains: A Review and Perspectives, JAIR
        70, 2021 (predictions of earlier labels are features, and gradients are stopped). Feeding
        hidden features is this package's addition.
    """
    tasks = check_tasks(tasks)
    if feed not in _FEEDS:
        raise ValueError(f"feed must be one of {[*_FEEDS]}; received {feed!r}.")
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)

    towers = towers_by_name(tower, [task.name for task in tasks])
    outputs: dict[str, Tensor] = {}
    earlier_outputs: list[Tensor] = []  # u_1, ..., u_{k-1}
    for task in tasks:
        reads = join_features([features, *earlier_outputs], f"{task.name}_reads")
        top = apply_part(towers[task.name], reads, f"{task.name}_tower", activation)
        outputs |= end_towers((), {task.name: top}, [task], activation)
        fed = top if feed == "hidden" else prediction_in_scale(outputs[task.name])
        if stop_gradient:
            fed = StopGradient(name=f"{task.name}_fed")(fed)
        earlier_outputs.append(fed)
    check_separate_variables(outputs, [features])

    return keras.Model(inputs, outputs, name=name)
