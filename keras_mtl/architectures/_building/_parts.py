"""The parts of a network, given as units or as recipes, and the towers that end it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_mtl._keras_internals import nodes_above
from keras_mtl._tasks import Head, Task
from keras_mtl._types import Recipe, Tensor
from keras_mtl.architectures._building._towers import side_by_side

Part: TypeAlias = Sequence[int] | Recipe
"""Units, or a recipe `features -> features` that makes new layers at each call."""


def apply_part(
    part: Part, features: Tensor, name: str, activation: Any, *, shared: bool = False
) -> Tensor:
    """Maps features through a part.

    Args:
        part: Units, a recipe, or (where `shared`) a Keras layer or model.
        features: Symbolic features, `(batch, ..., in)`.
        name: Leads the names of the layers: `<task>_tower` makes `<task>_tower_0` and so on.
        activation: Activation of dense layers made from units.
        shared: Whether one instance is right here, because there is one such part.

    Returns:
        Symbolic features, `(batch, ..., out)`.

    Raises:
        TypeError: If `part` is nothing of that kind.
        ValueError: If units cannot be applied to the features.
    """
    if isinstance(part, keras.layers.Layer) and not shared:
        raise TypeError(
            f"{name}: received the live layer {part.name!r}, whose weights all tasks or experts "
            "would share. Pass a recipe that makes new layers at each call: "
            "lambda features: keras.layers.Dense(32)(features)."
        )
    if callable(part) and not isinstance(part, type):
        output = part(features)
        if not isinstance(output, keras.KerasTensor):
            raise TypeError(f"{name}: a recipe returns one symbolic tensor; received {output!r}.")
        return output
    units = check_units(part, name)
    if units:
        check_features(features, name)
    for i, size in enumerate(units):
        features = keras.layers.Dense(size, activation=activation, name=f"{name}_{i}")(features)
    return features


def is_units(part: Part) -> bool:
    """Whether a part is given as units."""
    return isinstance(part, tuple | list)


def check_units(part: Any, name: str) -> Sequence[int]:
    """The sizes of the layers of a part that is given as units."""
    if is_units(part) and all(type(size) is int and size > 0 for size in part):
        return list(part)
    raise TypeError(
        f"{name}: expected positive units such as (64, 32), or a recipe features -> features; "
        f"received {part!r}."
    )


def check_features(features: Tensor, name: str) -> None:
    """Checks that dense layers can read the features."""
    if not keras.backend.is_float_dtype(features.dtype) or features.shape[-1] is None:
        raise ValueError(
            f"{name}: dense layers take floats whose last axis is known; received {features.dtype} "
            f"of shape {features.shape}. Preprocess the inputs first, for example with "
            "keras.utils.FeatureSpace or an Embedding, and pass the output of that."
        )


def check_own_weights(outputs: Mapping[str, Tensor], features: Iterable[Tensor] = ()) -> None:
    """Checks that no two of these outputs were made by the same live layers.

    Args:
        outputs: What a recipe returned at each of its calls, by the name of the call.
        features: What the calls read; layers above that may be shared.

    Raises:
        ValueError: If a variable was used anew in two of the calls.
    """
    visited: set[int] = set()  # without features, what lies above is visited with the first
    for _ in nodes_above(features, visited):
        pass
    owners: dict[int, str] = {}
    for name, output in outputs.items():
        for node in nodes_above([output], visited):
            for variable in getattr(node.operation, "trainable_variables", ()):
                owner = owners.setdefault(id(variable), name)
                if owner != name:
                    raise ValueError(
                        f"{owner!r} and {name!r} share the layer {node.operation.name!r}: a "
                        "recipe must make new layers at each call, not reuse a live one."
                    )


def end_towers(
    tower: Part, features: Mapping[str, Tensor], tasks: Sequence[Task], activation: Any
) -> dict[str, Tensor]:
    """Gives each task a tower and a head of its own.

    Args:
        tower: Units, or a recipe.
        features: What each task's tower reads, by the name of the task.
        tasks: The tasks.
        activation: Activation of dense layers made from units.

    Returns:
        Predictions by the name of the task: the outputs of the network.
    """
    outputs = {}
    if is_units(tower):  # many that are alike are computed together
        units = check_units(tower, f"{tasks[0].name}_tower")
        outputs = side_by_side(units, features, tasks, activation)
    for task in tasks:
        if task.name not in outputs:
            top = apply_part(tower, features[task.name], f"{task.name}_tower", activation)
            if isinstance(task.head, Head):
                check_features(top, f"{task.name}_head")
            outputs[task.name] = task.output(top)
        check_rank(task, outputs[task.name])
    outputs = {task.name: outputs[task.name] for task in tasks}
    check_own_weights(outputs, features.values())
    return outputs


def check_rank(task: Task, prediction: Tensor) -> None:
    """Checks that a prediction has the axes of the task's labels."""
    if task.labels is None:
        return
    rank = 2 + len(task.labels.shape) - task.elementwise
    if len(prediction.shape) != rank:
        raise ValueError(
            f"task {task.name!r}: its labels need a prediction of rank {rank}, but the network "
            f"ends in one of shape {prediction.shape}. Give a tower, or a body, that pools (or "
            "keeps) the middle axes, such as one with keras.layers.GlobalAveragePooling1D()."
        )
