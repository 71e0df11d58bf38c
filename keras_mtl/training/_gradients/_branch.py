"""`tf.cond` for nests of gradients."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._gradients._gradient import Gradient


def branch(condition: Tensor, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """Runs one of two functions, whose nests hold gradients of the same forms in the same places.

    `tf.cond` takes no `None` and no mixture of dense and sparse gradients (docs/keras_notes.md,
    pain 78). So only dense tensors pass through it: whole gradients, the values of sparse ones,
    and each array of entries once. The nest around them is put together again outside.

    Args:
        condition: Which function runs, a bool scalar.
        then: Returns a nest of tensors and gradients.
        otherwise: Returns a nest of the same structure.
    """
    # Filled while the branches are traced: [nest of `then`, nest of `otherwise`].
    nests: list[Any] = []

    def tensors(make: Callable[[], Any]) -> list[Tensor]:
        nest = make()
        nests.append(nest)
        leaves = tf.nest.flatten(nest)
        return [*[_tensor_of(leaf) for leaf in leaves if _has_own(leaf)], *_arrays(leaves).values()]

    chosen = iter(tf.cond(condition, lambda: tensors(then), lambda: tensors(otherwise)))
    leaves = tf.nest.flatten(nests[0])
    # In the order of `tensors`: first the tensors that leaves have for themselves, then the arrays.
    new_leaves = [_replaced(leaf, next(chosen)) if _has_own(leaf) else leaf for leaf in leaves]
    new_arrays = dict(zip(_arrays(leaves), chosen, strict=True))
    new_leaves = [
        Gradient(new_arrays[id(leaf.array)], leaf.index) if _is_entry(leaf) else leaf
        for leaf in new_leaves
    ]
    return tf.nest.pack_sequence_as(nests[0], new_leaves)


def _is_entry(leaf: Any) -> bool:
    return isinstance(leaf, Gradient) and leaf.is_entry


def _has_own(leaf: Any) -> bool:
    """Returns whether a leaf has a tensor for itself: entries of one array share theirs."""
    return leaf.stands_alone if isinstance(leaf, Gradient) else leaf is not None


def _tensor_of(leaf: Any) -> Tensor:
    return leaf.values if isinstance(leaf, Gradient) else leaf


def _replaced(leaf: Any, tensor: Tensor) -> Any:
    return leaf.with_values(tensor) if isinstance(leaf, Gradient) else tensor


def _arrays(leaves: list[Any]) -> dict[int, Tensor]:
    """Returns the arrays that entries belong to, each once, by identity."""
    return {id(leaf.array): leaf.array for leaf in leaves if _is_entry(leaf)}
