"""The integral of gradients along the straight path from baselines to rows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_mtl._keras_internals import mask_of, with_mask
from keras_mtl._types import Tensor
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._core import Core
from keras_mtl.analysis._inside._cut import Cut
from keras_mtl.analysis._inside._entrances import Entrance
from keras_mtl.analysis._inside._targets import chosen_entries, explained_number


class PathIntegral(NamedTuple):
    """Holds what the path gives for some rows, by task.

    Attributes:
        attributions: For each entrance, float64 `(batch, ...)`.
        ends: The explained numbers of the rows, `(batch,)`.
        starts: Those of the baselines, their mean, `(batch,)`.
    """

    attributions: dict[str, list[FloatArray]]
    ends: dict[str, FloatArray]
    starts: dict[str, FloatArray]


class Path:
    """Integrates the gradients of all tasks along one path.

    Args:
        core: The network.
        entrances: Where numbers enter it.
        targets: By task, what is explained: see `read_targets`.
        steps: The number of nodes of the midpoint rule.
    """

    def __init__(
        self, core: Core, entrances: Sequence[Entrance], targets: Mapping[str, int], steps: int
    ) -> None:
        self._core = core
        self._entrances = entrances
        self._targets = targets
        self._positions = (np.arange(steps) + 0.5) / steps
        self._cut = Cut(core, [entrance.tensor for entrance in entrances])
        self._gradients = tf.function(self._compute, autograph=False, reduce_retracing=True)

    def predict(self, x: Any) -> dict[str, Tensor]:
        """Returns predictions by task, with their logits."""
        values = self._core.read(x)
        return self._cut.after(self._cut.before(values), values)

    def integrate(self, x: Any, baselines: Any) -> PathIntegral:
        """Integrates from each baseline to each row, and averages over baselines.

        Args:
            x: Inputs of a batch, in the user's structure.
            baselines: Inputs of baselines, in the same structure.
        """
        values = self._core.read(x)
        ends = self._cut.before(values)
        masks = [mask_of(tensor) for tensor in ends]
        predictions = self._cut.after(ends, values)
        entries = {
            name: chosen_entries(predictions[name], target)
            for name, target in self._targets.items()
        }
        all_starts = self._cut.before(self._core.read(baselines))
        num_baselines = len(all_starts[0])
        integrals = []
        for i in range(num_baselines):
            starts = [tensor[i : i + 1] for tensor in all_starts]
            integrals.append(self._follow(starts, ends, masks, values, entries))
        return PathIntegral(
            {
                name: [
                    np.mean([integral.attributions[name][e] for integral in integrals], axis=0)
                    for e in range(len(self._entrances))
                ]
                for name in self._targets
            },
            integrals[0].ends,
            {
                name: np.mean([integral.starts[name] for integral in integrals], axis=0)
                for name in self._targets
            },
        )

    def _follow(
        self,
        starts: list[Tensor],
        ends: list[Tensor],
        masks: list[Tensor | None],
        values: list[Tensor],
        entries: dict[str, Tensor],
    ) -> PathIntegral:
        """Integrates from one baseline, `(1, ...)`, to each row."""

        def gradients_at(node: float) -> Any:
            position = tf.constant(node, tf.float32)
            return self._gradients(starts, ends, masks, values, entries, position)

        zeros = [0.0] * len(self._entrances)
        sums: dict[str, list[Any]] = dict.fromkeys(self._targets, zeros)
        for node in self._positions:
            gradients, _ = gradients_at(float(node))
            for name, row in gradients.items():
                sums[name] = [
                    total + np.asarray(gradient, np.float64)
                    for total, gradient in zip(sums[name], row, strict=True)
                ]
        steps = [
            np.asarray(end, np.float64) - np.asarray(start, np.float64)
            for start, end in zip(starts, ends, strict=True)
        ]
        attributions = {
            name: [
                step * total / len(self._positions)
                for step, total in zip(steps, totals, strict=False)
            ]
            for name, totals in sums.items()
        }
        numbers = [gradients_at(node)[1] for node in (0.0, 1.0)]
        at_start, at_end = (
            {name: np.asarray(value, np.float64) for name, value in of_node.items()}
            for of_node in numbers
        )
        return PathIntegral(attributions, at_end, at_start)

    def _compute(
        self,
        starts: list[Tensor],
        ends: list[Tensor],
        masks: list[Tensor | None],
        values: list[Tensor],
        entries: dict[str, Tensor],
        position: Tensor,
    ) -> Any:
        """Returns all tasks' gradients at one node of the path, from one forward pass."""
        count = len(self._entrances)
        points = [
            start + tf.cast(position, end.dtype) * (end - start)
            for start, end in zip(starts[:count], ends[:count], strict=True)
        ]
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(points)
            at_cut = [
                with_mask(tensor, mask)
                for tensor, mask in zip([*points, *ends[count:]], masks, strict=True)
            ]
            predictions = self._cut.after(at_cut, values)
            numbers = {
                name: explained_number(predictions[name], target, entries[name])
                for name, target in self._targets.items()
            }
        gradients = {
            name: [
                # An input that a task does not read has no gradient at all.
                tf.cast(tf.zeros_like(point) if gradient is None else gradient, tf.float32)
                for gradient, point in zip(tape.gradient(number, points), points, strict=True)
            ]
            for name, number in numbers.items()
        }
        return gradients, numbers
