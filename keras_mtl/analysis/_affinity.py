"""What each task does for each other one, measured by steps of the model's own optimizer."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._printing._tables import format_number, format_table
from keras_mtl.analysis._probing._affinities import Affinities, StepAffinities, choose_method
from keras_mtl.analysis._probing._look_ahead import LookAhead, optimizer_name
from keras_mtl.analysis._probing._means import nan_mean
from keras_mtl.analysis._probing._probe import Probe
from keras_mtl.analysis._probing._read_batches import (
    Element,
    check_several,
    read_batches,
    read_pairs,
)

_MAX_TASKS = 10  # in a printed matrix; `rows` has all pairs


@dataclasses.dataclass(frozen=True)
class Affinity:
    """Holds the result of `affinity`. `print` shows the marginal affinities.

    Row i of a matrix holds what a step along the gradient of task i does for each task: positive
    numbers lower its loss. Neither matrix is symmetric. The diagonal is what a task does for
    itself.

    Args:
        tasks: The names of the K losses: the tasks, or the columns of a task that has some.
        benefit: Z of the paper, `[K, K]`: the relative decrease of each loss after the step. With
            momentum, most of it is the optimizer's own and the same for all rows.
        marginal: Beyond a step with a gradient of zero, `[K, K]`. 0 means that a task does
            nothing for another one. Equal to `benefit` for an optimizer without memory.
        losses: The mean losses before the steps, `[K]`.
        steps: Over how many measurements the matrices are averaged.
        method: `"look ahead"` or `"first order"`.
        on: Whether losses are those of the `"same"` batch or of an `"other"` one.
        optimizer: The class of the optimizer.
        seconds: The time that it took.

    Example:
        >>> import numpy as np
        >>> matrix = np.array([[0.2, -0.01], [0.05, 0.1]])
        >>> result = Affinity(
        ...     ("views", "age"), matrix, matrix, np.ones(2), 1, "look ahead", "same", "SGD", 0.0
        ... )
        >>> result.rows[0]
        {'task': 'views', 'other task': 'age', 'marginal': -0.01, 'benefit': -0.01}
    """

    tasks: tuple[str, ...]
    benefit: FloatArray
    marginal: FloatArray
    losses: FloatArray
    steps: int
    method: str
    on: str
    optimizer: str
    seconds: float

    @property
    def standardized(self) -> FloatArray:
        """The benefit, with the other tasks' numbers in each column at mean 0 and deviation 1.

        It says which tasks help task j more than other tasks do. Momentum adds one number to a
        whole column, and a loss that is easy to lower has larger numbers than others: neither
        tells who belongs together, and both mislead `group_tasks`. The diagonal is 0. It cannot
        tell whether sharing helps at all; the signs of `marginal` can.
        """
        off_diagonal = np.where(np.eye(len(self.tasks), dtype=bool), np.nan, self.benefit)
        centered = off_diagonal - nan_mean(off_diagonal)
        deviations = np.sqrt(nan_mean(centered**2))
        columns = centered / np.where(deviations > 0, deviations, 1.0)
        np.fill_diagonal(columns, 0.0)
        return np.asarray(columns)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict per ordered pair of different tasks, for a table or a CSV file."""
        return [
            {
                "task": task,
                "other task": other,
                "marginal": float(self.marginal[i, j]),
                "benefit": float(self.benefit[i, j]),
            }
            for i, task in enumerate(self.tasks)
            for j, other in enumerate(self.tasks)
            if i != j
        ]

    def __str__(self) -> str:
        title = (
            f"marginal affinity ({self.method}, {self.optimizer}, {self.on} batch, "
            f"steps: {self.steps}): what the row's task does for the column's"
        )
        if len(self.tasks) <= _MAX_TASKS:
            rows = zip(self.tasks, self.marginal.tolist(), strict=True)
            cells = [[task, *map(format_number, row)] for task, row in rows]
            return "\n".join([title, format_table(["", *self.tasks], cells)])
        pairs = sorted(self.rows, key=lambda row: np.nan_to_num(row["marginal"]))
        shown = [*pairs[: _MAX_TASKS // 2], *pairs[-_MAX_TASKS // 2 :]]
        cells = [[f"{r['task']} -> {r['other task']}", format_number(r["marginal"])] for r in shown]
        table = format_table(["lowest and highest", "marginal"], cells)
        return "\n".join([title, table, f"... {len(pairs)} pairs in all; see .rows"])


def affinity(
    model: keras.Model,
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    steps: int | None = None,
    on: Literal["same", "other"] = "same",
    method: Literal["look ahead", "first order"] | None = None,
) -> Affinity:
    """Measures what a training step of one task does to the losses of the others.

    The model's own optimizer takes a step of the shared variables v along the gradient g_i of
    task i alone, the losses L_j after it are computed with the towers as they are, and the step
    is taken back:

        benefit_ij  = 1 - L_j(v after g_i) / L_j(v)
        marginal_ij = (L_j(v after a gradient of zero) - L_j(v after g_i)) / L_j(v)

    averaged over batches. To first order, which is the default above 16 tasks, the decrease of a
    loss is its gradient times the step: no further forward passes, and K + 1 steps of the
    optimizer.

    Choose it on a network that trains all tasks together, in the middle of its training, to see
    which tasks help or harm which; `callbacks.AffinityMonitor` averages over a whole training, as
    the paper does. `group_tasks(result.standardized, tasks=result.tasks, networks=n)` turns it
    into groups. (On synthetic tasks whose heads agree, 8 in 2 and 16 in 4 groups, with Adam, these
    had an adjusted Rand index of 0.82 to 1 with the true ones, and those of `benefit` as it is 0.16
    to 1.) Read `marginal`: with momentum or Adam, most of `benefit` is the step that the
    optimizer would take anyway. Where heads differ, tasks that need the same features may have
    affinities near 0; `relatedness` finds them.

    Weights, optimizer, seeds and moving averages are afterwards what they were, to the last bit.
    Layers are in the mode of evaluation.

    Args:
        model: A compiled `BalancedModel` or functional network. The step is that of a task alone,
            without the weights of a balancer, but times `Task.weight`.
        dataset: Batches `(x, y)` or `(x, y, w)` of training data, as for `fit`.
        tasks: The tasks, in any order, which is that of the result. At least two, or one with
            columns.
        steps: The largest number of batches (of pairs of batches with `on="other"`). Defaults to
            `None`: all.
        on: Which batch the losses belong to. `"same"`, as in the paper, counts the noise that
            tasks share in the rows as affinity; `"other"` takes the batch that follows. Defaults
            to `"same"`.
        method: `"look ahead"` or `"first order"`. Defaults to `None`: the first up to 16 losses.

    Returns:
        An `Affinity`. A task without labels in a batch is left out of its means.

    Raises:
        TypeError: If the model is no Keras model, or the dataset is none.
        ValueError: If the model is not compiled or its optimizer accumulates gradients, there is a
            single loss, tasks share no variable, or the data do not fit.

    Example:
        >>> import keras_mtl as mtl
        >>> data = mtl.datasets.synthetic_groups(3, 2, rows=256)
        >>> network = mtl.architectures.hard_sharing(keras.Input((32,)), data.tasks, shared=(8,))
        >>> network.compile("adam", **mtl.compile_args(data.tasks))
        >>> result = affinity(network, data.train.batch(64), data.tasks, steps=2)
        >>> result.marginal.shape, result.optimizer, result.method
        ((3, 3), 'Adam', 'look ahead')

    Reference:
        Fifty et al. 2021, "Efficiently Identifying Task Groupings for Multi-Task Learning" (TAG),
        arXiv:2109.04617. Differences: the authors' notebook divides by the learning rate, has an
        own implementation of the network and plain momentum in it, and its published matrices have
        rows and columns the other way around. The marginal affinity is not from the paper.
    """
    start = time.monotonic()
    tasks = check_several(tasks, "affinity")
    if on not in ("same", "other"):
        raise ValueError(f"on is {on!r}; expected 'same' or 'other'.")
    probe = Probe(model, tasks)
    chosen = choose_method(method, len(probe.names))
    values = probe.values()
    results: list[StepAffinities] = []
    affinities: Affinities | None = None
    for batch, judges in _read(dataset, tasks, probe.network, steps, on):
        gradients = probe.gradients(values, batch)  # which tells what is shared
        if affinities is None:
            affinities = Affinities(probe, LookAhead(model, probe.shared), chosen)
        results.append(affinities(values, batch, judges, gradients))
    benefit, marginal, losses = (nan_mean(np.stack(r)) for r in zip(*results, strict=True))
    seconds = time.monotonic() - start
    kind = optimizer_name(model)
    return Affinity(probe.names, benefit, marginal, losses, len(results), chosen, on, kind, seconds)


def _read(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    network: keras.Model,
    steps: int | None,
    on: str,
) -> Iterator[tuple[Element, Element]]:
    if on == "other":
        yield from read_pairs(dataset, tasks, network, steps)
        return
    for batch in read_batches(dataset, tasks, network, steps):
        yield batch, batch
