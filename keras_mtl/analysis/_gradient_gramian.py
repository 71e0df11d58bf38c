"""The Gramian of the gradients of the tasks of a network, measured on a dataset."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.analysis._gramian_statistics import GramianStatistics, gramian_statistics
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._noise_scale import NoiseScale
from keras_mtl.analysis._printing._tables import format_number, format_table
from keras_mtl.analysis._probing._gramians import HalfBatches, HalfProducts
from keras_mtl.analysis._probing._means import nan_mean
from keras_mtl.analysis._probing._permute import permute_rows
from keras_mtl.analysis._probing._probe import Probe
from keras_mtl.analysis._probing._read_batches import check_several, read_pairs


@dataclasses.dataclass(frozen=True)
class GradientGramian:
    """Holds the result of `gradient_gramian`. `print` shows conflict and noise.

    Args:
        tasks: The names of the K losses: the tasks, or the columns of a task that has some.
        gramians: The unbiased Gramian of each pair of half batches, `[steps, K, K]`, NaN in the
            rows and columns of tasks without labels.
        noise: Estimates of the trace of the covariance of the gradient of one label,
            `[steps, K]`.
        losses: The unweighted losses, `[steps, K]`.
        num_variables: n, the number of entries of all shared variables.
        permuted: The Gramians with the labels of each task in an order of their own,
            `[steps, K, K]`; no step unless asked for.

    Example:
        >>> import numpy as np
        >>> gramians = np.array([[[4.0, -2.0], [-2.0, 9.0]]])
        >>> gradients = GradientGramian(
        ...     ("views", "age"), gramians, np.ones((1, 2)), np.ones((1, 2)), 100, gramians[:0]
        ... )
        >>> gradients.noise_scale().scales.round(2).tolist()
        [0.25, 0.11]
    """

    tasks: tuple[str, ...]
    gramians: FloatArray
    noise: FloatArray
    losses: FloatArray
    num_variables: int
    permuted: FloatArray

    def statistics(self, weights: Any = None) -> GramianStatistics:
        """Returns cosines, magnitudes, conflict rates and more; see `gramian_statistics`.

        Args:
            weights: The weights of the direction, as for `gramian_statistics`.
        """
        return gramian_statistics(
            self.gramians, weights, tasks=self.tasks, num_variables=self.num_variables
        )

    def noise_scale(self) -> NoiseScale:
        """Returns the number of labels that a batch needs before gradient exceeds noise.

        With unequal halves, too, the products of two halves estimate |G|^2 without bias, and the
        squared length of their difference estimates the noise; see `noise_scale`.
        """
        squares = nan_mean(np.diagonal(self.gramians, axis1=1, axis2=2))
        noise = nan_mean(self.noise)
        with np.errstate(divide="ignore", invalid="ignore"):
            scales = np.where(squares > 0, noise / squares, np.nan)
        return NoiseScale(self.tasks, squares, noise, scales)

    def permuted_rates(self) -> dict[float, float]:
        """Returns the conflict rates of permuted rows for S = 0 and 0.1; NaN without any."""
        if not len(self.permuted):
            return {0.0: np.nan, 0.1: np.nan}
        return gramian_statistics(self.permuted, tasks=self.tasks).conflict_rates

    def __str__(self) -> str:
        rates = self.permuted_rates()
        lines = [str(self.statistics())]
        if len(self.permuted):
            lines.append(
                "of permuted rows: "
                + ", ".join(
                    f"share {format_number(rate)} below {0 - limit:g}"
                    for limit, rate in rates.items()
                )
            )
        noise = self.noise_scale()
        rows = [
            [task, *map(format_number, numbers)]
            for task, *numbers in zip(
                self.tasks, nan_mean(self.losses).tolist(), noise.scales.tolist(), strict=True
            )
        ]
        return "\n".join([*lines, "", format_table(["task", "loss", "noise scale (labels)"], rows)])


def gradient_gramian(
    model: keras.Model,
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    steps: int | None = None,
    permute: bool = False,
    seed: int = 0,
) -> GradientGramian:
    """Measures the inner products of the tasks' gradients of the shared variables.

    Batches that follow each other are the two halves a and b of a step, and

        G_ij = (g_i^a . g_j^b + g_i^b . g_j^a) / 2

    with g_i the gradient of the loss of task i, times `Task.weight`, with respect to all
    variables that several tasks train. The noise of the two halves is independent: products of
    gradients of the same rows would count the noise of these rows as agreement.

    Choose it to look for conflict in any network at one point of its training; to follow it,
    use `callbacks.ConflictMonitor`. Measure on training data: these are the gradients that
    training takes. Do not measure an untrained network alone, whose gradients mostly ask for the
    mean of the labels. Nothing of the model changes, neither weights nor seeds nor moving
    averages, and layers are in the mode of evaluation. A step costs two forward passes, and two
    backward passes per task through the shared layers alone.

    Args:
        model: A `BalancedModel`, or a functional network whose outputs are the tasks. It need not
            be compiled.
        dataset: Batches `(x, y)` or `(x, y, w)`, as for `fit`; at least two. A last batch without
            a partner is left out.
        tasks: The tasks, in any order, which is that of the result. At least two, or one with
            columns.
        steps: The largest number of pairs of batches. Defaults to `None`: all.
        permute: Whether to measure all steps with permuted labels too, for comparison. It doubles
            the cost. Defaults to `False`.
        seed: The seed of the permutations.

    Returns:
        A `GradientGramian`. A task without a label in one of the halves is missing from the step,
        and so is one whose loss or gradient is not finite, or whose weight is 0.

    Raises:
        TypeError: If the model is no Keras model, or the dataset is none.
        ValueError: If there is a single loss, tasks share no variable, the network is not
            functional, or labels or inputs do not fit the tasks.

    Example:
        >>> import keras_mtl as mtl
        >>> data = mtl.datasets.synthetic_groups(3, 2, rows=256)
        >>> network = mtl.architectures.hard_sharing(keras.Input((32,)), data.tasks, shared=(8,))
        >>> gradients = gradient_gramian(network, data.train.batch(64), data.tasks)
        >>> gradients.gramians.shape, gradients.num_variables
        ((2, 3, 3), 264)

    Reference: none; cross products of independent halves are common in estimates of distances.
    The noise scale is that of arXiv:1812.06162, in labels of a task instead of rows.
    """
    tasks = check_several(tasks, "gradient_gramian")
    probe = Probe(model, tasks)
    halves, values, rng = HalfBatches(probe), probe.values(), np.random.default_rng(seed)
    plain: list[HalfProducts] = []
    permuted: list[FloatArray] = []
    for first, second in read_pairs(dataset, tasks, probe.network, steps):
        plain.append(halves(values, first, second))
        if permute:
            first, second = (permute_rows(half, tasks, rng) for half in (first, second))
            permuted.append(halves(values, first, second).gramian)
    gramians, noise, losses = (np.stack(parts) for parts in zip(*plain, strict=True))
    of_permuted = np.stack(permuted) if permuted else gramians[:0]
    return GradientGramian(probe.names, gramians, noise, losses, probe.num_variables, of_permuted)
