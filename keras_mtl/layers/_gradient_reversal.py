"""A layer that turns gradients round (Ganin et al., 2016)."""

import math
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradientReversal(keras.layers.Layer):
    """Passes its inputs on unchanged, and multiplies the gradient that comes back by -strength.

    Put it in front of the tower of an adversary, such as a task that tells from which data set an
    example comes: its tower learns to tell, and the layers below learn features from which it
    cannot. With `warmup_steps`, the strength rises in the training steps t as

        strength (2 / (1 + exp(-10 p)) - 1)        p = min(t / warmup_steps, 1)

    so that the adversary's first, random opinions do not count.

    Choose it where features must not depend on something that the data tell: the source, the
    site, the device. Not the right choice where the tasks' labels depend on that something too:
    what the tower must forget, the tasks then lack. The adversary's loss does not show success:
    it also rises if its tower is too small, or is weighted down by a balancer. Train a fresh probe
    on the frozen features instead (`benchmarks/regimes_adversarial.py`). Rules that look at
    conflicts see the reversed gradient as one; `Equal` leaves the game as it is.

    Args:
        strength: Factor of the reversed gradient, not negative. Defaults to `1.0`. It is a
            variable that a callback may change: `layer.strength.assign(0.5)`.
        warmup_steps: Number of calls in training over which the strength rises. Defaults to
            `None`: it is there from the first step on.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A tensor. Its mask is passed on.
        training: Whether the call counts as a step of the warm-up.

    Returns:
        The same tensor.

    Raises:
        ValueError: If the strength is negative (the layers below would help the adversary), or
            `warmup_steps` is not a whole number from 1.

    Example:
        >>> import keras_mtl as mtl
        >>> layer = GradientReversal(0.5, name="domain_reversal")
        >>> layer(keras.Input((3,))).shape
        (None, 3)
        >>> def head(features):
        ...     return keras.layers.Dense(3, activation="softmax")(GradientReversal()(features))
        >>> task = mtl.Task("domain", loss="sparse_categorical_crossentropy", head=head)

    Reference:
        Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 2016, arXiv:1505.07818,
        with their schedule. To subtract the adversary's loss instead, as some ports do, trains
        its tower to fail as well.
    """

    def __init__(
        self, strength: float = 1.0, *, warmup_steps: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(strength, int | float) or not 0 <= strength < math.inf:
            raise ValueError(
                f"{self.name}: strength must be a number of at least 0, since the layer changes "
                f"the sign itself; received {strength!r}."
            )
        if warmup_steps is not None and (warmup_steps != int(warmup_steps) or warmup_steps < 1):
            raise ValueError(
                f"{self.name}: warmup_steps must be a whole number from 1, or None; received "
                f"{warmup_steps!r}."
            )
        self.supports_masking = True
        self.final_strength = float(strength)
        self.warmup_steps = None if warmup_steps is None else int(warmup_steps)

    def build(self, input_shape: Any) -> None:
        """Makes the strength, and the number of calls in training."""
        self.strength = self._state("strength", self.final_strength, "float32")
        if self.warmup_steps is not None:
            self.calls = self._state("calls", 0, "int32")

    def _state(self, name: str, value: float, dtype: str) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=(),
            initializer=keras.initializers.Constant(value),
            trainable=False,
            dtype=dtype,
            aggregation="only_first_replica",
        )

    def current_strength(self) -> Tensor:
        """Returns the factor of the next step, a scalar."""
        strength = ops.convert_to_tensor(self.strength)
        if self.warmup_steps is None:
            return strength
        progress = ops.minimum(ops.cast(self.calls, "float32") / self.warmup_steps, 1)
        return strength * (2 / (1 + ops.exp(-10 * progress)) - 1)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Returns the inputs; their gradient is multiplied by -strength."""
        strength = self.current_strength()
        if training and self.warmup_steps is not None:
            self.calls.assign_add(1)

        def reverse(tensor: Tensor) -> tuple[Tensor, Any]:
            def gradient(upstream: Tensor) -> Tensor:
                return -ops.cast(strength, upstream.dtype) * upstream

            return tensor * 1, gradient

        result: Tensor = ops.custom_gradient(reverse)(inputs)
        return result

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "strength": self.final_strength,
            "warmup_steps": self.warmup_steps,
        }
