"""Groups of experts, and the gates that weigh them."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building._parts import (
    Part,
    apply_part,
    check_features,
    check_separate_variables,
    check_units,
    is_units,
)
from keras_mtl.layers import Experts, Mixture, StackBranches


def check_count(value: Any, name: str, minimum: int = 1) -> int:
    """Checks that a count, such as a number of experts, is an integer of at least `minimum`.

    Raises:
        ValueError: If it is not.
    """
    if type(value) is not int or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}; received {value!r}.")
    return value


def check_expert(expert: Part) -> Part:
    """Checks that an expert given as units has at least one layer.

    Raises:
        ValueError: If it has none.
        TypeError: If its units are no positive integers.
    """
    if is_units(expert) and not check_units(expert, "expert"):
        raise ValueError("expert is empty: all experts would be the features themselves.")
    return expert


def make_experts(
    groups: Mapping[str, tuple[Tensor, int]],
    expert: Part,
    activation: Activation,
    suffix: str = "",
) -> dict[str, Tensor]:
    """Makes groups of experts; the experts of a group read the same features.

    Args:
        groups: For each group, under the word with which its layers' names begin: the features
            that its experts read, and the number of experts.
        expert: Units (a group is then computed together), or a recipe.
        activation: Activation of layers made from units.
        suffix: Last part of the layers' names, such as `_1` for a second level.

    Returns:
        The features of each group's experts, `(batch, ..., num_experts, units)`.

    Raises:
        ValueError: If `expert` is empty, or two experts share a live layer.
        TypeError: If `expert` is neither units nor a recipe.
    """
    if is_units(check_expert(expert)):
        units = check_units(expert, "expert")
        outputs = {}
        for owner, (features, num_experts) in groups.items():
            check_features(features, "expert")
            layer = Experts(num_experts, units, activation, name=f"{owner}_experts{suffix}")
            outputs[owner] = layer(features)
        return outputs
    outputs_by_group = {
        owner: {
            f"{owner}_expert{suffix}_{i}": apply_part(
                expert, features, f"{owner}_expert{suffix}_{i}", activation
            )
            for i in range(num_experts)
        }
        for owner, (features, num_experts) in groups.items()
    }
    all_outputs = {
        name: output for group in outputs_by_group.values() for name, output in group.items()
    }
    check_separate_variables(all_outputs, [features for features, _ in groups.values()])
    return {
        owner: StackBranches(name=f"{owner}_experts{suffix}")(list(group.values()))
        for owner, group in outputs_by_group.items()
    }


def gate_features(features: Tensor, experts: Tensor, name: str = "shared_gate_features") -> Tensor:
    """Returns the features that gates read, with the positions of the experts.

    They are the features themselves or, where the experts have other positions, their mean over
    positions.

    Args:
        features: Features `(batch, ..., in)`.
        experts: Features of the experts, `(batch, ..., num_experts, units)`.
        name: Name of the layer that takes the mean.
    """
    check_features(features, "gate")
    if len(features.shape) == 2 or features.shape[1:-1] == experts.shape[1:-2]:
        return features
    pools = {
        3: keras.layers.GlobalAveragePooling1D,
        4: keras.layers.GlobalAveragePooling2D,
        5: keras.layers.GlobalAveragePooling3D,
    }
    return pools[len(features.shape)](name=name)(features)


def mix_experts(gated: Tensor, experts: Tensor, owner: str, suffix: str = "") -> Tensor:
    """Mixes experts by the weights of a softmax gate.

    Args:
        gated: The features that the gate reads: see `gate_features`.
        experts: Features of the experts, `(batch, ..., num_experts, units)`.
        owner: First part of the names of the gate and the mixture.
        suffix: Last part of these names.

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


def join_experts(*experts: Tensor) -> Tensor:
    """Joins groups of experts, `(batch, ..., num_experts, units)`, along the axis of experts."""
    return ops.concatenate(experts, axis=-2) if len(experts) > 1 else experts[0]
