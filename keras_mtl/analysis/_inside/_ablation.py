"""The losses of a network in which one expert of one gate gets no weight."""

from typing import Any

import tensorflow as tf

from keras_mtl._keras_internals import with_mask
from keras_mtl._types import Tensor
from keras_mtl.analysis._inside._core import Core
from keras_mtl.analysis._inside._cut import Cut
from keras_mtl.analysis._inside._losses import LossSums
from keras_mtl.analysis._inside._mixtures import FoundMixture
from keras_mtl.analysis._inside._rows import Rows

NONE = -1
"""The position of no expert: the network as it is."""


class Ablation:
    """Computes the losses of the tasks behind a mixture, without one of its experts.

    Only the layers behind the mixture are computed again.

    Args:
        core: The network.
        mixture: The mixture.
        losses: Computes the losses.
    """

    def __init__(self, core: Core, mixture: FoundMixture, losses: LossSums) -> None:
        self._mixture = mixture
        self._losses = losses
        outputs = {name: core.outputs[name] for name in mixture.tasks}
        self._cut = Cut(core, [mixture.output], outputs)
        # Built once for all experts, which are numbers in the graph.
        self._run = tf.function(self._compute, autograph=False, reduce_retracing=True)

    def sums(
        self,
        values: list[Tensor],
        at_mixture: dict[str, list[Tensor]],
        rows: Rows,
        mixture: int,
        expert: int,
    ) -> dict[str, Tensor]:
        """Returns the sums of the losses of a batch, as `LossSums.add` takes them.

        Args:
            values: Values of the network's inputs.
            at_mixture: What the mixture reads, as `"reads"`, and its mask, as `"mask"`.
            rows: The batch.
            mixture: The position of the mixture, where the layer computes several.
            expert: The position of the expert that gets no weight, or `NONE`.
        """
        position = tf.constant([mixture, expert])
        gate = tf.convert_to_tensor(self._mixture.weights(at_mixture["reads"]))
        result: dict[str, Tensor] = self._run(
            values, at_mixture, gate, rows.labels, rows.weights, position
        )
        return result

    def _compute(
        self, values: Any, at_mixture: Any, gate: Any, labels: Any, weights: Any, position: Tensor
    ) -> Any:
        left = drop_expert(gate, position[0], position[1], rescale=self._mixture.sums_to_one)
        mixed = self._mixture.mix(left, at_mixture["reads"])
        for mask in at_mixture["mask"]:  # a function's arguments lose it, and losses read it
            mixed = with_mask(mixed, mask)
        return self._losses.of_batch(self._cut.after([mixed], values), labels, weights)


def drop_expert(gate: Tensor, mixture: Tensor, expert: Tensor, *, rescale: bool) -> Tensor:
    """Returns weights `(..., num_mixtures, num_experts)` in which one of them is 0.

    Args:
        gate: The weights.
        mixture: The position of the mixture.
        expert: The position of the expert.
        rescale: Whether the weights that are left over get the sum that all had. Where all are
            0 they stay so.
    """
    num_mixtures, num_experts = gate.shape[-2:]
    dropped = tf.one_hot(mixture, num_mixtures)[:, None] * tf.one_hot(expert, num_experts)
    left = gate * (1 - tf.cast(dropped, gate.dtype))
    if not rescale:
        return left
    sums = [tf.reduce_sum(weights, axis=-1, keepdims=True) for weights in (gate, left)]
    return left * tf.math.divide_no_nan(*sums)
