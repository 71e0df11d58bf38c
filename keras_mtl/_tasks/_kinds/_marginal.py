"""The head of tasks whose classes are groups of another task's classes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._keras_internals import is_symbolic, node_of, with_logits
from keras_mtl._tasks._head import Head
from keras_mtl._types import Tensor

_NEVER = -1e30  # a logarithm of 0 with a finite gradient


@keras.saving.register_keras_serializable(package="keras_mtl")
class GroupProbabilities(keras.layers.Layer):
    """Adds up the probabilities of classes to those of groups of classes:

        P(g) = sum_(c in g) p_c

    It computes the logarithms from logits, which stay beside the probabilities, and has no
    variables.

    Args:
        groups: The classes of each group.
        from_logits: Whether the layer reads logits, or probabilities. Defaults to `True`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        values: Floats `(batch, ..., classes)`.

    Returns:
        Floats `(batch, ..., groups)`.

    Example:
        >>> layer = GroupProbabilities([[0, 2], [1]], from_logits=False)
        >>> [round(p, 4) for p in layer(ops.array([[0.5, 0.25, 0.25]])).numpy()[0].tolist()]
        [0.75, 0.25]
    """

    def __init__(
        self, groups: Sequence[Sequence[int]], from_logits: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.groups = [list(group) for group in groups]
        self.from_logits = from_logits
        members = np.zeros((len(self.groups), sum(map(len, self.groups))), bool)
        for row, group in zip(members, self.groups, strict=True):
            row[group] = True
        self._members = members

    def call(self, values: Tensor) -> Tensor:
        """Computes the probabilities of the groups, and keeps their logarithms for losses."""
        if self.from_logits:
            log_p = ops.log_softmax(values, axis=-1)
        else:
            log_p = ops.log(ops.maximum(values, float(np.finfo("float32").tiny)))
        log_p = ops.where(self._members, ops.expand_dims(log_p, -2), _NEVER)
        logs = ops.logsumexp(log_p, axis=-1)
        return with_logits(ops.exp(logs), logs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the input with the groups as its last axis."""
        return (*input_shape[:-1], len(self.groups))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "groups": self.groups, "from_logits": self.from_logits}


@keras.saving.register_keras_serializable(package="keras_mtl")
@dataclasses.dataclass(frozen=True)
class MarginalHead(Head):
    """Ends no tower: adds up the output of another task.

    Args:
        units: The number of groups.
        activation: A name for messages.
        of: The name of the other task.
        groups: The classes of each group.

    Example:
        >>> from keras_mtl import Task
        >>> fine = Task.multiclass("breed", 3).output(keras.Input((8,)))
        >>> MarginalHead(2, of="breed", groups=((0, 2), (1,)))(fine, "species").shape
        (None, 2)
    """

    activation: str = "marginal"
    of: str = ""
    groups: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        # JSON turns tuples into lists; the way around a frozen dataclass.
        object.__setattr__(self, "groups", tuple(tuple(group) for group in self.groups))

    def __call__(self, features: Tensor, name: str = "head") -> Tensor:
        """Adds up the output of the other task.

        Raises:
            ValueError: If `features` are no such output, or it has another number of classes.
        """
        node = node_of(features) if is_symbolic(features) else None
        if node is None or node.operation.name != self.of:
            raise ValueError(self._refusal(name, f"it received {features!r}"))
        size = sum(map(len, self.groups))
        if features.shape[-1] != size:
            raise ValueError(
                f"task {name!r}: its groups hold {size} classes, and {self.of!r} predicts "
                f"{features.shape[-1]}."
            )
        source, from_logits = _logits_behind(features)
        layer = GroupProbabilities(
            self.groups, from_logits, dtype="float32", name=f"{name}_marginal"
        )
        return layer(source)

    def activate(self, logits: Tensor, name: str = "head") -> Tensor:
        """Refuses logits of its own.

        Raises:
            ValueError: Always.
        """
        raise ValueError(self._refusal(name, "this architecture gives it logits of its own"))

    def _refusal(self, name: str, received: str) -> str:
        return (
            f"task {name!r}: its probabilities are sums of those of {self.of!r}, and {received}. "
            f"Give an architecture both tasks in one list, or call task.output(prediction) with "
            f"the output of {self.of!r}."
        )


def _logits_behind(prediction: Tensor) -> tuple[Tensor, bool]:
    """Returns the logits of a softmax before the layer of the task's name, if there is one.

    These are a tensor of the graph: what stands beside a prediction would reach another task
    without a gradient where the two are cut apart.
    """
    node = node_of(prediction)
    if len(node.input_tensors) == 1:
        before = node_of(node.input_tensors[0])
        layer = before.operation
        is_softmax = isinstance(layer, keras.layers.Activation) and (
            layer.activation is keras.activations.softmax
        )
        if is_softmax and len(before.input_tensors) == 1:
            return before.input_tensors[0], True
    return prediction, False
