"""Reads the gates of a network, batch by batch."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_mtl._keras_internals import run_in_mode
from keras_mtl._types import Tensor
from keras_mtl.analysis._gate_statistics import GateStatistics
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._ablation import NONE, Ablation
from keras_mtl.analysis._inside._core import Core
from keras_mtl.analysis._inside._gate_sums import GateSums
from keras_mtl.analysis._inside._losses import LossSums
from keras_mtl.analysis._inside._mixtures import FoundMixture, tasks_by_position
from keras_mtl.analysis._inside._rows import Rows, has_label


class GateReader:
    """Adds up what gates do with batches of rows.

    Args:
        core: The network.
        mixtures: Its mixtures.
        ablation: Whether to compute losses without each expert.
    """

    def __init__(self, core: Core, mixtures: Sequence[FoundMixture], *, ablation: bool) -> None:
        self._core = core
        self._mixtures = mixtures
        tensors = [
            {"reads": mixture.reads, "mask": [] if mixture.mask is None else [mixture.mask]}
            for mixture in mixtures
        ]
        self._look = keras.Function(list(core.network.inputs), [tensors, core.outputs])
        self._losses = LossSums(core.tasks)
        self._ablations = [
            Ablation(core, mixture, self._losses) if ablation else None for mixture in mixtures
        ]
        self._sums: dict[tuple[str, int], GateSums] = {}
        self._tasks: dict[str, list[list[str]]] = {}

    def reset(self) -> None:
        """Forgets all batches."""
        self._sums.clear()
        self._losses.reset()

    def add(self, rows: Rows) -> None:
        """Adds a batch."""
        values = self._core.read(rows.x)
        at_mixtures, predictions = run_in_mode(self._look, values, False)
        self._losses.add(self._losses.of_batch(predictions, rows.labels, rows.weights))
        for mixture, ablation, tensors in zip(
            self._mixtures, self._ablations, at_mixtures, strict=True
        ):
            weights, use = _weigh(mixture, tensors["reads"])
            for i, tasks in enumerate(self._tasks_of(mixture, weights.shape[-2])):
                labeled = has_label(rows, tasks)
                for mask in tensors["mask"]:
                    labeled = labeled[:, None] & tf.reshape(mask, (len(mask), -1))
                sums = self._sums.setdefault(
                    (mixture.name, i), GateSums(len(mixture.experts), mixture.hard)
                )
                parts = (_flatten(part[..., i, :], np.asarray(labeled)) for part in (weights, use))
                try:
                    sums.add(*parts)
                except ValueError as error:
                    raise ValueError(
                        f"the gate {mixture.name!r} {error}; expected weights of at least 0, such "
                        "as those of a softmax."
                    ) from error
                if ablation is not None:
                    for expert in (NONE, *range(len(mixture.experts))):
                        of_batch = ablation.sums(values, tensors, rows, i, expert)
                        self._losses.add(of_batch, mixture.name, str(i), str(expert))

    def _tasks_of(self, mixture: FoundMixture, num_mixtures: int) -> list[list[str]]:
        """Returns the tasks behind each mixture; all of them where no task reads it alone."""
        if mixture.name not in self._tasks:
            tasks = tasks_by_position(self._core, mixture, num_mixtures)
            self._tasks[mixture.name] = [names or list(mixture.tasks) for names in tasks]
        return self._tasks[mixture.name]

    def losses(self) -> dict[str, float]:
        """Returns the mean loss of each task."""
        return {name: self._losses.mean(name) for name in self._core.outputs}

    def gates(self) -> dict[str, GateStatistics]:
        """Returns the statistics of all gates by name."""
        return {gate.name: gate for mixture in self._mixtures for gate in self._gates_of(mixture)}

    def _gates_of(self, mixture: FoundMixture) -> Iterator[GateStatistics]:
        keys = [key for key in self._sums if key[0] == mixture.name]
        for key in keys:
            position = key[1]
            tasks = self._tasks[mixture.name][position]
            yield GateStatistics(
                name=mixture.name if len(keys) == 1 else f"{mixture.name}/{position}",
                tasks=tuple(tasks),
                experts=mixture.experts,
                hard=mixture.hard,
                rise=self._rises(mixture, str(position), tasks),
                **self._sums[key].statistics(),
            )

    def _rises(
        self, mixture: FoundMixture, position: str, tasks: Sequence[str]
    ) -> dict[str, FloatArray]:
        if self._ablations[0] is None:
            return {}
        mean = self._losses.mean
        return {
            task: np.array(
                [
                    mean(task, mixture.name, position, str(expert))
                    - mean(task, mixture.name, position, str(NONE))
                    for expert in range(len(mixture.experts))
                ]
            )
            for task in tasks
        }


def _weigh(mixture: FoundMixture, reads: list[Tensor]) -> tuple[FloatArray, FloatArray]:
    """Returns the weights of a batch, and the sizes of the weighted outputs of experts.

    Returns:
        Weights `(batch, ..., num_mixtures, num_experts)`, and sizes of the same shape, which may
        have positions that the weights have not.
    """
    weights = np.asarray(ops.cast(mixture.weights(reads), "float64"))
    experts = ops.cast(mixture.contributions(reads), "float64")
    sizes = np.asarray(ops.sqrt(ops.sum(ops.square(experts), axis=-1)))
    spread = weights  # over the positions of the experts
    while spread.ndim < sizes.ndim:
        spread = spread[:, None]
    use = spread * sizes
    if len(reads) == 1:  # the same weights in all rows
        weights = np.broadcast_to(weights, use.shape)
    return weights, use


def _flatten(values: FloatArray, labeled: Any) -> FloatArray:
    """Returns the rows of values `(batch, ..., num_experts)` that count, `[rows, num_experts]`.

    Args:
        values: Values per row, or per position.
        labeled: Which rows count, `(batch,)`, or which positions of a row, `(batch, positions)`.
    """
    num_rows, num_experts = len(values), values.shape[-1]
    values = values.reshape(num_rows, -1, num_experts)
    if labeled.ndim == 1:
        labeled = labeled[:, None]
    if labeled.shape[1] != values.shape[1]:
        # One weight per row, beside a mask of positions: a row counts that has any of them.
        labeled = labeled.any(axis=1, keepdims=True)
    kept = np.broadcast_to(labeled, values.shape[:2])
    return np.asarray(values[kept])
