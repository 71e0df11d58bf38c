"""Tasks that read what the tasks before them have found."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Part,
    apply_part,
    check_own_weights,
    end_towers,
    join,
    read_inputs,
)
from keras_mtl.layers import StopGradient

_FEEDS = ("prediction", "hidden")


def cascade(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (128, 64),
    tower: Part = (32,),
    feed: str = "prediction",
    stop_gradient: bool = False,
    activation: Any = "relu",
    name: str | None = "cascade",
) -> keras.Model:
    """Feeds what each task has found to the tasks after it, beside the shared features.

    `y_k = h_k([f(x), u_1, ..., u_{k-1}])`, where `u_j` is the prediction `y_j` or the hidden
    features below it. Choose it where tasks build on each other (the kind of a word before its
    role) and the order is known; `hard_sharing` costs less where it is not. A prediction says
    just what was asked; hidden features say more, and bend to the later tasks unless gradients
    are stopped. A row is not fed to each position of a sequence.

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. A body that is no units may read other types as well.
        tasks: The tasks in the order of the cascade, at least one.
        shared: Units of the shared body, a recipe `features -> features`, or a Keras model or
            layer. Defaults to `(128, 64)`.
        tower: Units of each task's tower, or a recipe `features -> features` that makes new
            layers at each call. Defaults to `(32,)`.
        feed: What later tasks read: `"prediction"` (a probability, not a logit) or
            `"hidden"`, the end of the tower. Defaults to `"prediction"`.
        stop_gradient: Whether later tasks leave no trace in what they read of earlier ones.
            Defaults to `False`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `feed` is unknown, or what is
            fed does not fit the features.
        TypeError: If an argument is of another kind.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.multiclass("language", 4), mtl.Task.binary("spam")]
        >>> network = mtl.architectures.cascade(keras.Input((8,)), tasks, shared=(16,))
        >>> network.get_layer("spam_reads").output.shape  # 16 features and 4 probabilities
        (None, 20)

    Reference:
        Dai et al., Instance-aware Semantic Segmentation via Multi-task Network Cascades, CVPR
        2016, arXiv:1512.04412 (features shared, each stage reads the ones before, trained end
        to end); Read et al., Classifier Chains: A Review and Perspectives, JAIR 70, 2021
        (predictions of earlier labels as features, gradients stopped). Hidden features are this
        package's.
    """
    tasks = check_tasks(tasks)
    if feed not in _FEEDS:
        raise ValueError(f"feed must be one of {[*_FEEDS]}; received {feed!r}.")
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)

    outputs: dict[str, Tensor] = {}
    found: list[Tensor] = []
    for task in tasks:
        reads = join([features, *found], f"{task.name}_reads")
        top = apply_part(tower, reads, f"{task.name}_tower", activation)
        outputs |= end_towers((), {task.name: top}, [task], activation)
        fed = top if feed == "hidden" else outputs[task.name]
        found.append(StopGradient(name=f"{task.name}_fed")(fed) if stop_gradient else fed)
    check_own_weights(outputs, [features])

    return keras.Model(inputs, outputs, name=name)
