"""How much tasks use the same parts of a network, whatever the signs."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._printing._tables import format_number, format_table
from keras_mtl.analysis._probing._permute import permute_rows
from keras_mtl.analysis._probing._probe import Probe
from keras_mtl.analysis._probing._read_batches import check_several, read_batches
from keras_mtl.analysis._probing._relations import RelationSums

_MAX_PAIRS = 10  # in the text; `rows` has all of them


@dataclasses.dataclass(frozen=True)
class Relatedness:
    """Holds the result of `relatedness`. `print` shows the most related pairs.

    All matrices are symmetric, `[K, K]`, from 0 to 1, with 1 on the diagonal. They do not share a
    scale: compare pairs of tasks within a matrix, never numbers of two matrices.

    Args:
        tasks: The names of the K losses: the tasks, or the columns of a task that has some.
        cosines: The means over batches of the absolute cosines of the gradients.
        fisher: The cosines of the tasks' importance of variables.
        units: The cosines of the tasks' importance of units at which the tasks part.
        permuted: The mean of absolute cosines of different tasks with the labels of each task in
            an order of its own: what noise alone gives. NaN if it was not measured.
        steps: The number of batches.

    Example:
        >>> import numpy as np
        >>> matrix = np.array([[1.0, 0.25], [0.25, 1.0]])
        >>> Relatedness(("views", "age"), matrix, matrix, matrix, 0.1, 5).rows
        [{'task': 'views', 'other task': 'age', 'cosine': 0.25, 'fisher': 0.25, 'units': 0.25}]
    """

    tasks: tuple[str, ...]
    cosines: FloatArray
    fisher: FloatArray
    units: FloatArray
    permuted: float
    steps: int

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict per pair of tasks, for a table or a CSV file."""
        return [
            {
                "task": self.tasks[i],
                "other task": self.tasks[j],
                "cosine": float(self.cosines[i, j]),
                "fisher": float(self.fisher[i, j]),
                "units": float(self.units[i, j]),
            }
            for i, j in zip(*np.triu_indices(len(self.tasks), 1), strict=True)
        ]

    def __str__(self) -> str:
        pairs = sorted(self.rows, key=lambda row: -np.nan_to_num(row["fisher"]))
        cells = [
            [f"{row['task']}, {row['other task']}", *map(format_number, list(row.values())[2:])]
            for row in pairs[:_MAX_PAIRS]
        ]
        header = ["pair", "absolute cosine", "fisher", "units"]
        lines = [f"{len(self.tasks)} tasks, steps: {self.steps}", format_table(header, cells)]
        if not np.isnan(self.permuted):
            lines.append(f"absolute cosine of permuted rows: {format_number(self.permuted)}")
        if len(pairs) > _MAX_PAIRS:
            lines.append(f"... {len(pairs)} pairs in all; see .rows")
        return "\n".join(lines)


def relatedness(
    model: keras.Model,
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    steps: int | None = None,
    permute: bool = False,
    seed: int = 0,
) -> Relatedness:
    """Measures which tasks use the same parts of a network, whether they agree or not.

    With the gradients g_i of the shared variables on a batch, and the units u at which the tasks
    part (the outputs of the shared layers that towers read):

        cosines  mean over batches of |g_i . g_j| / (|g_i| |g_j|)
        fisher   cosine of the vectors sqrt(mean over batches of g_i^2)
        units    cosine of the vectors I_iu = mean over rows of |u dL_i/du|

    Choose it to group tasks. y and -y are one task to a trunk that has a head for each: signed
    affinities see the sign of the heads, and miss relations where heads differ. On 16 and 32
    synthetic tasks with shared features and independent heads, all three found every group,
    where signed cosines and TAG did not. `group_tasks(result.fisher, tasks=result.tasks,
    networks=n)` gives groups. It does not say that sharing pays, nor that tasks harm each other:
    take `affinity` and trained baselines for that.

    Measure a network that trains all tasks together, at the end of its training: before it, the
    gradients of all tasks look alike. On synthetic groups whose tasks have labels for half the
    rows, `fisher` found the groups after 40 epochs in 3 of 3 seeds, after 10 in 2; its average over
    the epochs, as `callbacks.AffinityMonitor` takes it, was behind its last value. Absolute cosines
    of noise are above 0: compare with `permuted`. Nothing of the model changes, and layers are in
    the mode of evaluation.

    Args:
        model: A `BalancedModel`, or a functional network. It need not be compiled.
        dataset: Batches `(x, y)` or `(x, y, w)` of training data, as for `fit`.
        tasks: The tasks, in any order, which is that of the result. At least two, or one with
            columns.
        steps: The largest number of batches. Defaults to `None`: all.
        permute: Whether to measure cosines with permuted labels too. It doubles the cost. Defaults
            to `False`.
        seed: The seed of the permutations.

    Returns:
        A `Relatedness`. Pairs of tasks that never have labels in one batch are NaN in `cosines`.

    Raises:
        TypeError: If the model is no Keras model, or the dataset is none.
        ValueError: If there is a single loss, tasks share no variable, the network is not
            functional, or labels or inputs do not fit the tasks.

    Example:
        >>> import keras_mtl as mtl
        >>> data = mtl.datasets.synthetic_groups(4, 2, rows=512)
        >>> network = mtl.architectures.hard_sharing(keras.Input((32,)), data.tasks, shared=(8,))
        >>> relatedness(network, data.train.batch(64), data.tasks).fisher.shape
        (4, 4)

    Reference:
        Achille et al. 2019, "Task2Vec", arXiv:1902.03545, for the diagonal of the Fisher
        information, here of the shared variables of one network instead of a probe network;
        gradients of batches stand in for those of rows. Molchanov et al. 2019, arXiv:1906.10771,
        for the importance of units.
    """
    tasks = check_several(tasks, "relatedness")
    probe = Probe(model, tasks)
    values, rng = probe.values(), np.random.default_rng(seed)
    sums, of_permuted = RelationSums(probe), RelationSums(probe)
    for batch in read_batches(dataset, tasks, probe.network, steps):
        sums.add(values, batch)
        if permute:
            of_permuted.add_permuted(values, permute_rows(batch, tasks, rng))
    apart = of_permuted.cosines()[np.triu_indices(len(probe.names), 1)]
    mean = float(np.nanmean(apart)) if not np.isnan(apart).all() else np.nan
    return Relatedness(probe.names, sums.cosines(), sums.fisher(), sums.units(), mean, sums.steps)
