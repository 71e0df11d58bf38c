"""A body whose kernels are updated by low-rank matrices while it is called."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import is_functional
from keras_mtl._types import Tensor
from keras_mtl.layers._frozen import freeze
from keras_mtl.layers._kernels import Kernel, find_kernels


@keras.saving.register_keras_serializable(package="keras_mtl")
class LowRankBody(keras.layers.Wrapper):
    """Calls a body with `W + scale * a b` in the place of each of its kernels `W`.

    The factors `a` and `b` are inputs, as `LowRankFactors` makes them, so one body serves many
    tasks, each of which owns factors alone. The body itself may be any Keras layer or model, of
    layers at any depth: a kernel is exchanged for the time of a call, and what the body changes
    in it (the statistics of a batch normalization, the state of a dropout) is kept.

    Args:
        layer: The body, a Keras layer or model.
        targets: The names of layers whose kernels are updated, or of layers that hold them,
            such as `["query", "value"]`. By default all dense, convolutional (but depthwise),
            recurrent and attention layers.
        scale: Defaults to `1.0`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: What the body reads. Masks are its own affair.
        factors: `a` and `b` of each kernel, in a flat list in the order of `shapes`.

    Returns:
        What the body returns.

    Raises:
        ValueError: If there is no kernel to update.
        TypeError: If `targets` is no list of names.

    Example:
        >>> body = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7, name="dense")])
        >>> layer = LowRankBody(body)
        >>> layer.build()
        >>> layer.shapes
        {'dense': (5, 7)}
        >>> layer(ops.ones((2, 5)), [ops.zeros((5, 1)), ops.zeros((1, 7))]).shape
        TensorShape([2, 7])
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        targets: Sequence[str] | None = None,
        scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        # The body's layers, not this one, decide to which type they cast.
        super().__init__(layer, autocast=False, **{"dtype": "float32", **kwargs})
        if isinstance(targets, str):
            raise TypeError(f"targets must be a list of names; put {targets!r} in one.")
        self.supports_masking = True
        self.targets = None if targets is None else list(targets)
        self.scale = scale
        self._kernels: dict[str, Kernel] = {}

    def build(self, input_shape: Any = None) -> None:
        """Finds the kernels; builds the body where that is still to be done."""
        super().build(input_shape)
        if not self.layer.trainable:  # Keras does not save that of layers inside layers
            freeze(self.layer)
        self._kernels = find_kernels(self.layer, self.targets)
        if not self._kernels:
            raise ValueError(
                f"{self.name}: no kernel to update in {self.layer.name!r} with "
                f"targets={self.targets}; its kernels are {[*find_kernels(self.layer)]}."
            )

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Rows and columns of each kernel that is updated, as a matrix, by name."""
        return {name: (each.rows, each.columns) for name, each in self._kernels.items()}

    def updated(self, factors: Sequence[Tensor]) -> dict[int, Tensor]:
        """The kernels with their updates, by the identity of the variable."""
        kernels = [each.variable for each in self._kernels.values()]
        products = map(ops.matmul, factors[::2], factors[1::2])
        return {
            id(kernel): kernel + self.scale * ops.reshape(product, kernel.shape)
            for kernel, product in zip(kernels, products, strict=True)
        }

    def call(self, inputs: Any, factors: Sequence[Tensor], training: bool | None = None) -> Any:
        """Calls the body on `inputs`, with its kernels updated."""
        updated = self.updated(factors)
        variables = self.layer.variables
        values = [(each, updated.get(id(each), each)) for each in variables]
        with keras.StatelessScope(values, collect_losses=True) as scope:
            before = [scope.get_current_value(each) for each in variables]
            outputs = self._run(inputs, training)
        for variable, value in zip(variables, before, strict=True):
            after = scope.get_current_value(variable)
            if after is not value:
                variable.assign(after)
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs

    def _run(self, inputs: Any, training: bool | None) -> Any:
        # A functional model carries masks from layer to layer, but warns that it does not.
        graph = isinstance(self.layer, keras.Sequential) or is_functional(self.layer)
        return self.layer.call(inputs, training=training) if graph else self.layer(inputs)

    def compute_output_spec(
        self, inputs: Any, factors: Sequence[Tensor], training: bool | None = None
    ) -> Any:
        """What the body returns, with or without updates."""
        return self.layer.compute_output_spec(inputs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: the body has set the mask of what it returns, if there is one."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "targets": self.targets, "scale": self.scale}
