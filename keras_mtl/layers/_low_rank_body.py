"""A body whose kernels are updated by low-rank matrices during a call."""

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
    """Calls a body with `W + scale * a b` in place of each of its kernels `W`.

    The factors `a` and `b` are inputs, as `LowRankFactors` returns them, so one body serves many
    tasks, each of which owns only its factors. The body may be any Keras layer or model, with
    layers at any depth: a kernel is replaced during the call only, and what the body changes in
    a call (the statistics of a batch normalization, the state of a dropout) is kept.

    Args:
        layer: The body, a Keras layer or model.
        targets: The names of layers whose kernels are updated, or of layers that hold them,
            such as `["query", "value"]`. By default all dense, convolutional (except
            depthwise), recurrent and attention layers.
        scale: Factor of the updates. Defaults to `1.0`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: The inputs of the body, which handles their masks itself.
        factors: `a` `(rows, r)` and `b` `(r, columns)` of each kernel, in a flat list in the
            order of `shapes`.

    Returns:
        The outputs of the body.

    Raises:
        ValueError: If there is no kernel to update; when called, if `quantize` of Keras has
            replaced a kernel in the meantime.
        TypeError: If `targets` is not a list of names.

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
        # The body's layers, not this one, decide to which dtype they cast (docs/keras_notes.md,
        # pain 88).
        super().__init__(layer, autocast=False, **{"dtype": "float32", **kwargs})
        if isinstance(targets, str):
            raise TypeError(f"targets must be a list of names; put {targets!r} in one.")
        self.supports_masking = True
        self.targets = None if targets is None else list(targets)
        self.scale = scale
        self._kernels: dict[str, Kernel] = {}

    def build(self, input_shape: Any = None) -> None:
        """Builds the body, unless it is built already, and finds its kernels."""
        super().build(input_shape)
        # Keras does not save whether layers inside a layer are frozen (docs/keras_notes.md,
        # pain 66).
        if not self.layer.trainable:
            freeze(self.layer)
        self._kernels = find_kernels(self.layer, self.targets)
        if not self._kernels:
            raise ValueError(
                f"{self.name}: no kernel to update in {self.layer.name!r} with "
                f"targets={self.targets}; its kernels are {[*find_kernels(self.layer)]}."
            )

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The rows and columns of each updated kernel, as a matrix, by name."""
        return {name: (kernel.rows, kernel.columns) for name, kernel in self._kernels.items()}

    def updated(self, factors: Sequence[Tensor]) -> dict[int, Tensor]:
        """Computes `W + scale * a b` for each kernel `W`, by the identity of its variable.

        Args:
            factors: `a` and `b` of each kernel, as in a call.

        Returns:
            The updated kernels, each by the `id` of its variable.
        """
        kernels = [kernel.variable for kernel in self._kernels.values()]
        products = map(ops.matmul, factors[::2], factors[1::2])
        return {
            id(kernel): kernel + self.scale * ops.reshape(product, kernel.shape)
            for kernel, product in zip(kernels, products, strict=True)
        }

    def call(self, inputs: Any, factors: Sequence[Tensor], training: bool | None = None) -> Any:
        """Calls the body on `inputs` with `W + scale * a b` in place of its kernels `W`."""
        updated = self.updated(factors)
        variables = self.layer.variables
        self._check_kernels(variables)
        # Inside the scope a variable has the value in this list, and assignments stay there.
        values = [(v, updated.get(id(v), v)) for v in variables]
        with keras.StatelessScope(values, collect_losses=True) as scope:
            before = [scope.get_current_value(v) for v in variables]
            outputs = self._run(inputs, training)
        for variable, value in zip(variables, before, strict=True):
            after = scope.get_current_value(variable)
            if after is not value:  # the body has assigned it, such as a moving mean
                variable.assign(after)
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs

    def _check_kernels(self, variables: Sequence[keras.Variable]) -> None:
        """Checks that the body still has the kernels that it was built with.

        Raises:
            ValueError: If Keras has quantized them.
        """
        held = {id(variable) for variable in variables}
        lost = [name for name, kernel in self._kernels.items() if id(kernel.variable) not in held]
        if lost:
            raise ValueError(
                f"{self.name}: the kernels of {lost} were replaced after the body was built, as "
                "`quantize` of Keras replaces them, and their updates would be lost. Merge the "
                "updates first, export.merge(network), and quantize the result; or leave the body "
                'out: network.quantize("int8", filters=...).'
            )

    def _run(self, inputs: Any, training: bool | None) -> Any:
        # A functional model carries masks from layer to layer, but warns that it does not
        # (docs/keras_notes.md, pain 86).
        graph = isinstance(self.layer, keras.Sequential) or is_functional(self.layer)
        return self.layer.call(inputs, training=training) if graph else self.layer(inputs)

    def compute_output_spec(
        self, inputs: Any, factors: Sequence[Tensor], training: bool | None = None
    ) -> Any:
        """Returns the output spec of the body, which updates do not change."""
        return self.layer.compute_output_spec(inputs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Returns `None`: the body has set the masks of its outputs already."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "targets": self.targets, "scale": self.scale}
