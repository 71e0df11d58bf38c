"""Which units of the shared layers serve which tasks."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import scipy.stats

from keras_mtl._tasks import Task
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._core import read_core
from keras_mtl.analysis._inside._rows import read_rows
from keras_mtl.analysis._inside._shared_features import last_shared, name_units, output_of
from keras_mtl.analysis._inside._unit_sums import Units
from keras_mtl.analysis._printing._tables import format_number, format_table

_MAX_TASKS = 10  # in the text
_TOP = 0.1


@dataclasses.dataclass(frozen=True)
class UnitImportance:
    """Holds what U units are worth to K tasks. `print` shows how far tasks use the same units.

    Args:
        tasks: The names of the K tasks.
        units: The names of the U units: `<layer>/<position>`, `<experts>/<expert>/<position>`.
        importance: Mean |a dL_k/da| of unit u with the activation a, scaled to sum 1 for each
            task, `[K, U]`; zeros for a task that reads no unit, NaN without labels.
        top: The units with the highest importance, a tenth of all, as booleans `[K, U]`.
        overlap: Jaccard index of the tops of two tasks, `[K, K]`: 1 for the same units.
        chance: The Jaccard index that is expected of tops drawn at random.
        losses: By task, its mean loss.
        rise: `[K, K]`: by how much the loss of the column's task rises if the top of the row's
            task is set to 0. It should be the largest in its row on the diagonal, relative to
            `losses`.
        rows: The number of rows.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.regression("age")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(20,))
        >>> y = {"income": np.array([0, 1]), "age": np.array([30.0, 40.0])}
        >>> units = mtl.analysis.unit_importance(network, (np.eye(2, 3), y), tasks)
        >>> units.importance.shape, units.top.sum(axis=1).tolist()
        ((2, 20), [2, 2])
    """

    tasks: tuple[str, ...]
    units: tuple[str, ...]
    importance: FloatArray
    top: Any
    overlap: FloatArray
    chance: float
    losses: dict[str, float]
    rise: FloatArray
    rows: int

    @property
    def shares(self) -> FloatArray:
        """The part of each task in the importance of a unit, `[K, U]`; 0 for an unused unit."""
        values = np.nan_to_num(self.importance)
        sums = values.sum(axis=0)
        return np.asarray(np.divide(values, sums, out=np.zeros_like(values), where=sums > 0))

    def __str__(self) -> str:
        tasks = self.tasks[:_MAX_TASKS]
        lines = []
        for title, matrix in (("overlap", self.overlap), ("rise without top of", self.rise)):
            rows = [
                [task, *map(format_number, row[: len(tasks)])]
                for task, row in zip(tasks, matrix.tolist(), strict=False)
            ]
            lines.append(format_table([title, *tasks], rows))
        if len(tasks) < len(self.tasks):
            lines.append(f"... {len(self.tasks)} tasks in all; see .overlap and .rise")
        unused = int((np.nan_to_num(self.importance).sum(axis=0) == 0).sum())
        lines.append(
            f"{len(self.units)} units, {unused} of no importance to any task; the overlap by "
            f"chance is {format_number(self.chance)}; from {self.rows} rows"
        )
        return "\n".join(lines)


def unit_importance(
    model: keras.Model, dataset: Any, tasks: Sequence[Task], *, layer: str | None = None
) -> UnitImportance:
    """Measures which units of the last shared layer each task uses, and checks it by ablation.

    The importance of unit u with the activation a_u for task k with the loss L_k is

        I_ku = mean over labels of |a_u dL_k / da_u|

    to first order the change of the loss if the unit is set to 0. As a check, the tenth of units
    that is most important to a task is set to 0, and the losses of all tasks are computed again.

    Choose it for networks without experts, to see whether tasks share a layer in fact or have
    divided it among them, and how many units none needs. Units of different layers differ in scale:
    compare tasks, not layers. Where a task fits perfectly its gradients vanish, and so does what
    they say; look at `rise`. Choose `gate_use` for experts, `probe` for what a layer knows whether
    a task uses it or not.

    Args:
        model: A functional network, or a `BalancedModel` of one. It stays as it is.
        dataset: A batched, finite `tf.data.Dataset` or a `keras.utils.PyDataset` of `(x, y)` or
            `(x, y, w)`, or a tuple of arrays; all rows are held in memory. NaN labels and labels
            with weight 0 are missing.
        tasks: The tasks of the network, or some of them.
        layer: The name of the layer whose units are measured. Defaults to all tensors between the
            shared layers and those of one task, which trained layers made; of one task to what its
            last layer with variables reads. Units are the entries of the last axis, and of stacked
            experts those of each expert; positions and pixels are summed.

    Returns:
        `UnitImportance`.

    Raises:
        TypeError: If the model shows no graph, or the data are of another kind.
        ValueError: If tasks share no layer, there is no such layer, or data do not fit the tasks.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.regression("age")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(20, 4))
        >>> y = {"income": np.array([0, 1]), "age": np.array([30.0, 40.0])}
        >>> units = unit_importance(network, (np.eye(2, 3), y), tasks)
        >>> len(units.units), bool((units.importance >= 0).all())
        (4, True)

    Reference:
        Molchanov et al. 2019, arXiv:1906.10771, who square the product of a filter and sum over it.
        Here the product of each activation is taken without its sign before it is averaged, so that
        rows do not cancel.
    """
    core = read_core(model, tasks)
    tensors = last_shared(core) if layer is None else output_of(core, layer)
    names = [name for tensor in tensors for name in name_units(tensor)]
    units = Units(core, tensors)
    batches = list(read_rows(dataset, core.tasks))
    for rows in batches:
        units.add(rows)
    raw = units.importance()
    sums = raw.sum(axis=1, keepdims=True)
    importance = np.divide(raw, sums, out=np.where(np.isnan(raw), np.nan, 0.0), where=sums > 0)
    count = max(1, round(_TOP * len(names)))
    top = _top_units(importance, count)
    none = np.zeros(len(names), dtype=bool)
    losses = units.losses(batches, [none, *top])
    return UnitImportance(
        tasks=tuple(core.outputs),
        units=tuple(names),
        importance=importance,
        top=top,
        overlap=_jaccard(top),
        chance=_chance(len(names), count),
        losses=dict(zip(core.outputs, losses[0].tolist(), strict=True)),
        rise=losses[1:] - losses[0],
        rows=sum(len(rows.weights[core.tasks[0].name]) for rows in batches),
    )


def _top_units(importance: FloatArray, count: int) -> Any:
    """Returns the most important units of each task; of equal ones, those that come first."""
    top = np.zeros(importance.shape, dtype=bool)
    for of_task, values in zip(top, np.nan_to_num(importance), strict=True):
        chosen = np.argsort(-values, kind="stable")[:count]
        of_task[chosen[values[chosen] > 0]] = True
    return top


def _jaccard(top: Any) -> FloatArray:
    """Returns |A and B| / |A or B| of all pairs; NaN for two empty sets."""
    both = top.astype(np.float64) @ top.T
    sizes = top.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(both / (sizes[:, None] + sizes - both))


def _chance(num_units: int, count: int) -> float:
    """Returns the expected Jaccard index of two sets of so many units, drawn at random."""
    common = np.arange(count + 1)
    chances = scipy.stats.hypergeom(num_units, count, count).pmf(common)
    return float(np.sum(chances * common / (2 * count - common)))
