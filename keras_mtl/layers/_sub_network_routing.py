"""Connections between sub-networks that training opens and closes (Ma et al., 2019)."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._initializers import distinct_initializers, stack_initializers
from keras_mtl.layers._narrowing import built_shape, narrowed, take_branches


@keras.saving.register_keras_serializable(package="keras_mtl")
class SubNetworkRouting(keras.layers.Layer):
    """Connects every sub-network to each output by a coding variable between 0 and 1.

    The outputs are `v_i = sum_j z_ij W_ij u_j + b_i` if `units` is a number (SNR-Trans), and
    `v_i = sum_j z_ij u_j` if it is `None` (SNR-Aver), where `u_j` are the features of sub-network
    j and `z_ij` is the coding variable, which is 0 for a closed connection. In training `z` is a
    draw of the hard concrete distribution, one draw for the whole batch: with `e` uniform in
    (0, 1), `s = sigmoid((log e - log(1 - e) + log_alpha) / beta)` and
    `z = min(1, max(0, s (zeta - gamma) + gamma))`. Outside training
    `z = min(1, max(0, sigmoid(log_alpha) (zeta - gamma) + gamma))`. The layer adds the penalty
    `l0 * sum_ij sigmoid(log_alpha_ij - beta log(-gamma / zeta))` to the loss; the sum is the
    expected number of open connections.

    Args:
        num_outputs: The number of outputs.
        units: Size of each output; `None` for the size of the sub-networks. Defaults to `None`.
        l0: Weight of the penalty. Defaults to `1e-4`.
        beta: Temperature of the distribution. Defaults to `2 / 3`.
        gamma: Lower end of the stretched interval, negative. Defaults to `-0.1`.
        zeta: Upper end of the stretched interval, more than 1. Defaults to `1.1`.
        seed: Seed of the draws. Defaults to one that `keras.utils.set_random_seed` determines.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        subnetworks: Floats `(batch, ..., num_subnetworks, in)`. A mask is passed on.
        training: Whether to draw.

    Returns:
        Floats `(batch, ..., num_outputs, units)`.

    Raises:
        ValueError: If a number is out of its range, or the number or size of the sub-networks
            is not known.

    Example:
        >>> layer = SubNetworkRouting(2, 16)
        >>> layer(keras.Input((3, 8))).shape
        (None, 2, 16)
        >>> layer.codings.shape
        (2, 3)

    Reference:
        Ma et al., SNR: Sub-Network Routing for Flexible Parameter Sharing in Multi-Task
        Learning, AAAI 2019, doi:10.1609/aaai.v33i01.3301216; the distribution is that of
        Louizos et al., arXiv:1712.01312, whose constants are the defaults.
    """

    branched_inputs = ()  # each output reads all sub-networks

    def __init__(
        self,
        num_outputs: int,
        units: int | None = None,
        l0: float = 1e-4,
        beta: float = 2 / 3,
        gamma: float = -0.1,
        zeta: float = 1.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_outputs < 1 or l0 < 0 or beta <= 0 or gamma >= 0 or zeta <= 1:
            raise ValueError(
                f"{self.name}: expected num_outputs >= 1, l0 >= 0, beta > 0, gamma < 0 and "
                f"zeta > 1; received {num_outputs}, {l0}, {beta}, {gamma} and {zeta}."
            )
        self.supports_masking = True
        self.num_outputs = num_outputs
        self.units = units
        self.l0 = l0
        self.beta = beta
        self.gamma = gamma
        self.zeta = zeta
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        """Makes `log_alpha` `(num_outputs, num_subnetworks)` and, with units, `W` and `b`."""
        if len(input_shape) < 3 or None in input_shape[-2:]:
            raise ValueError(
                f"{self.name}: expected sub-networks (batch, ..., num_subnetworks, in) whose last "
                f"two axes are known; received the shape {input_shape}."
            )
        num_subnetworks, size = input_shape[-2:]
        self.log_alpha = self.add_weight(
            name="log_alpha",
            shape=(self.num_outputs, num_subnetworks),
            initializer=keras.initializers.RandomNormal(stddev=0.01),
            regularizer=self._penalty if self.l0 else None,
            autocast=False,
        )
        if self.units is not None:
            draws = distinct_initializers(keras.initializers.GlorotUniform(), self.num_outputs)
            # The W_ij of an output are drawn together: it reads all sub-networks, side by side.
            self.kernel = self.add_weight(
                name="kernel",
                shape=(num_subnetworks * size, self.num_outputs, self.units),
                initializer=stack_initializers(draws),
            )
            self.bias = self.add_weight((self.num_outputs, self.units), "zeros", name="bias")

    @property
    def codings(self) -> Any:
        """`z` outside training, `(num_outputs, num_subnetworks)`; 0 is a closed connection."""
        return ops.convert_to_numpy(self._harden(ops.sigmoid(self.log_alpha)))

    def call(self, subnetworks: Tensor, training: bool | None = None) -> Tensor:
        """Computes `v_i = sum_j z_ij W_ij u_j + b_i`, or `v_i = sum_j z_ij u_j`."""
        num_subnetworks, size = subnetworks.shape[-2:]
        logits = self.log_alpha
        if training:
            noise = keras.random.uniform(
                ops.shape(logits), 1e-6, 1 - 1e-6, dtype="float32", seed=self.seed_generator
            )
            logits = (ops.log(noise) - ops.log(1 - noise) + logits) / self.beta
        codings = ops.cast(self._harden(ops.sigmoid(logits)), subnetworks.dtype)
        if self.units is None:
            return ops.matmul(codings, subnetworks)
        width = self.num_outputs * self.units
        # z_ij W_ij: sub-networks j, in, outputs i, units
        matrices = ops.reshape(self.kernel, (num_subnetworks, size, self.num_outputs, self.units))
        codings = ops.reshape(ops.transpose(codings), (num_subnetworks, 1, self.num_outputs, 1))
        matrices = matrices * codings
        # One product over the joined features of all sub-networks is the sum over j.
        leading = ops.shape(subnetworks)[:-2]
        flat = ops.reshape(subnetworks, (-1, num_subnetworks * size))
        routed = ops.matmul(flat, ops.reshape(matrices, (num_subnetworks * size, width)))
        return ops.reshape(routed, (*leading, self.num_outputs, self.units)) + self.bias

    def _penalty(self, log_alpha: Tensor) -> Tensor:
        """Computes `l0 * sum_ij sigmoid(log_alpha_ij - beta log(-gamma / zeta))`."""
        shift = self.beta * math.log(-self.gamma / self.zeta)
        return self.l0 * ops.sum(ops.sigmoid(log_alpha - shift))

    def _harden(self, chances: Tensor) -> Tensor:
        """Stretches numbers in (0, 1) to (gamma, zeta), and clips them to [0, 1]."""
        return ops.clip(chances * (self.zeta - self.gamma) + self.gamma, 0.0, 1.0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., num_outputs, units)`."""
        units = input_shape[-1] if self.units is None else self.units
        return (*input_shape[:-2], self.num_outputs, units)

    def narrow(self, indices: Sequence[int]) -> Any:
        """Returns a copy with some of the outputs, and without penalties on the others."""
        return narrowed(self, built_shape(self), take_branches(indices), num_outputs=len(indices))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        arguments = ("num_outputs", "units", "l0", "beta", "gamma", "zeta", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in arguments}}
