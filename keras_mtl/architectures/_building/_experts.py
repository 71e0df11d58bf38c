"""Experts in groups, and the gates that choose among them."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.architectures._building._parts import (
    Part,
    apply_part,
    check_features,
    check_own_weights,
    check_units,
    is_units,
)
from keras_mtl.layers import Experts, Mixture, StackBranches


def check_count(value: Any, name: str, least: int = 1) -> int:
    """Checks that a number of things is an integer of at least `least`."""
    if type(value) is not int or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}; received {value!r}.")
    return value


def check_expert(expert: Part) -> Part:
    """Checks that experts given as units have a layer."""
    if is_units(expert) and not check_units(expert, "expert"):
        raise ValueError("expert is empty: all experts would be the features themselves.")
    return expert


def make_experts(
    groups: Mapping[str, tuple[Tensor, int]], expert: Part, activation: Any, suffix: str = ""
) -> dict[str, Tensor]:
    """Groups of experts: the experts of a group read the same features.

    Args:
        groups: For each group, under the word with which its layers' names begin, what its
            experts read and how many they are.
        expert: Units (a group is then computed together), or a recipe.
        activation: Activation of layers made from units.
        suffix: Ends the names of the layers, such as `_1` for a second level.

    Returns:
        The features of each group's experts, `(batch, ..., count, units)`.

    Raises:
        ValueError: If `expert` is empty, or two experts share a live layer.
        TypeError: If `expert` is neither units nor a recipe.
    """
    if is_units(check_expert(expert)):
        units = check_units(expert, "expert")
        outputs = {}
        for owner, (features, count) in groups.items():
            check_features(features, "expert")
            layer = Experts(count, units, activation, name=f"{owner}_experts{suffix}")
            outputs[owner] = layer(features)
        return outputs
    single = {
        owner: {
            f"{owner}_expert{suffix}_{i}": apply_part(
                expert, features, f"{owner}_expert{suffix}_{i}", activation
            )
            for i in range(count)
        }
        for owner, (features, count) in groups.items()
    }
    every = {name: output for group in single.values() for name, output in group.items()}
    check_own_weights(every, [features for features, _ in groups.values()])
    return {
        owner: StackBranches(name=f"{owner}_experts{suffix}")(list(group.values()))
        for owner, group in single.items()
    }


def gate_features(features: Tensor, experts: Tensor, name: str = "shared_gate_features") -> Tensor:
    """What gates read: the features, or their mean where positions are not the experts'."""
    check_features(features, "gate")
    if len(features.shape) == 2 or features.shape[1:-1] == experts.shape[1:-2]:
        return features
    pools = {
        3: keras.layers.GlobalAveragePooling1D,
        4: keras.layers.GlobalAveragePooling2D,
        5: keras.layers.GlobalAveragePooling3D,
    }
    return pools[len(features.shape)](name=name)(features)


def mix(gated: Tensor, experts: Tensor, owner: str, suffix: str = "") -> Tensor:
    """The mixture of experts that a softmax gate makes.

    Args:
        gated: What the gate reads, as `gate_features` gives it.
        experts: Features of the experts, `(batch, ..., num_experts, units)`.
        owner: Leads the names of the gate and the mixture.
        suffix: Ends them.

    Returns:
        Features `(batch, ..., units)`.
    """
    gate = keras.layers.Dense(
        experts.shape[-2],
        activation="softmax",
        use_bias=False,
        dtype="float32",  # a softmax in half precision loses the small weights
        name=f"{owner}_gate{suffix}",
    )(gated)
    return Mixture(name=f"{owner}_mixture{suffix}")([gate, experts])


def beside(*experts: Tensor) -> Tensor:
    """Groups of experts side by side, `(batch, ..., their count, units)`."""
    return ops.concatenate(experts, axis=-2) if len(experts) > 1 else experts[0]
