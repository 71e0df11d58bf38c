"""Names for the types that every room uses."""

from collections.abc import Callable
from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A concrete or symbolic array: NumPy, `tf.Tensor` or `keras.KerasTensor`."""

Recipe: TypeAlias = Callable[[Tensor], Tensor]
"""Maps features to features (or to a prediction) and makes new layers at each call."""
