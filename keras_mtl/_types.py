"""Names for the types that every room uses."""

from collections.abc import Callable
from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A concrete or symbolic array: NumPy, `tf.Tensor` or `keras.KerasTensor`."""

Recipe: TypeAlias = Callable[[Tensor], Tensor]
"""A function from features to features (or to a prediction) that makes new layers at each call."""

Activation: TypeAlias = str | Callable[[Tensor], Tensor] | None
"""The name of an activation, or a function of a tensor, or `None` for no activation."""

Initializer: TypeAlias = Any
"""A `keras.initializers.Initializer`, the name of one, or its configuration."""

Regularizer: TypeAlias = Any
"""A `keras.regularizers.Regularizer`, its name, its configuration, or `None` for none."""

Optimizer: TypeAlias = Any
"""A `keras.optimizers.Optimizer`, or the name of one."""
