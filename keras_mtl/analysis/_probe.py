"""How much of each task a linear model can read out of each shared layer."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._core import read_core
from keras_mtl.analysis._inside._probe_data import (
    Labels,
    layer_named,
    read_features,
    read_labels,
    shared_layers,
)
from keras_mtl.analysis._inside._probing_fits import fit_classes, fit_numbers, split_rows
from keras_mtl.analysis._inside._rows import Rows, read_rows
from keras_mtl.analysis._printing._tables import format_number, format_table

_MAX_LAYERS = 20  # in the text
_MAX_TASKS = 8


@dataclasses.dataclass(frozen=True)
class Probes:
    """Holds what linear models read out of L layers for K tasks. `print` shows the selectivity.

    Args:
        layers: The names of the L layers, from the inputs to the outputs.
        tasks: The names of the K tasks.
        measures: By task, `"AUC"` (classes) or `"R2"` (numbers).
        scores: The score of a linear model on rows that it was not fitted on, `[L, K]`. NaN if a
            class has fewer than five labels in a half.
        controls: The same with shuffled labels: what the model reads out of nothing, `[L, K]`.
        rows: The number of rows.
        missing: By task, why it has no score.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.regression("sum"), mtl.Task.regression("noise")]
        >>> keras.utils.set_random_seed(0)
        >>> network = mtl.architectures.hard_sharing(keras.Input((2,)), tasks, shared=(8,))
        >>> x = np.random.default_rng(0).normal(size=(200, 2)).astype("float32")
        >>> y = {"sum": x.sum(axis=1), "noise": x[::-1, 0]}
        >>> probes = mtl.analysis.probe(network, (x, y), tasks)
        >>> bool(probes.selectivity[0, 0] > 0.5), bool(abs(probes.selectivity[0, 1]) < 0.2)
        (True, True)
    """

    layers: tuple[str, ...]
    tasks: tuple[str, ...]
    measures: dict[str, str]
    scores: FloatArray
    controls: FloatArray
    rows: int
    missing: dict[str, str]

    @property
    def selectivity(self) -> FloatArray:
        """The scores above those of shuffled labels, `[L, K]`."""
        return np.asarray(self.scores - self.controls)

    def __str__(self) -> str:
        layers, tasks = self.layers[:_MAX_LAYERS], self.tasks[:_MAX_TASKS]
        rows = [
            [
                layer,
                *(
                    f"{format_number(score, 2)} ({format_number(score - control, 2)})"
                    for score, control in zip(of_layer, of_control, strict=True)
                ),
            ]
            for layer, of_layer, of_control in zip(
                layers,
                self.scores[:, : len(tasks)].tolist(),
                self.controls[:, : len(tasks)].tolist(),
                strict=False,
            )
        ]
        header = [f"{task} {self.measures[task]}" for task in tasks]
        lines = [format_table(["score (selectivity)", *header], rows)]
        if len(layers) < len(self.layers) or len(tasks) < len(self.tasks):
            lines.append(f"... {len(self.layers)} layers, {len(self.tasks)} tasks; see .scores")
        lines.append(f"from {self.rows} rows, half of them to fit")
        lines += [f"{task}: {reason}" for task, reason in self.missing.items()]
        return "\n".join(lines)


def probe(
    model: keras.Model,
    dataset: Any,
    tasks: Sequence[Task],
    *,
    layers: Sequence[str] | None = None,
    max_rows: int = 4000,
    seed: int = 0,
) -> Probes:
    """Measures how much of each task a linear model can read out of each shared layer.

    The features of a layer for half of the rows are fitted to the labels of a task: numbers by a
    ridge regression, classes by a logistic one, on standardized features. The score is that of the
    other half: R squared, or the AUC (of several classes the mean of one against all). The same is
    done with shuffled labels; the difference is the selectivity, which a large layer does not get
    for its size alone.

    Choose it on validation rows, to see at which depth a task's label appears, or is lost to make
    room for another task: then let that task part earlier (`architectures.hierarchical`, `mtan`). A
    layer may know what its network does not use: `unit_importance` says what is used. Not with
    fewer rows than features, where scores are noise; the control shows it.

    Args:
        model: A functional network, or a `BalancedModel` of one. It stays as it is.
        dataset: A batched, finite `tf.data.Dataset` or a `keras.utils.PyDataset` of `(x, y)` or
            `(x, y, w)`, or a tuple of arrays. NaN labels and labels with weight 0 are missing;
            other weights do not count.
        tasks: The tasks of the network, or some of them; also tasks that it was not trained on, if
            they are outputs. Of a task with more than 16 columns, 16 are read, evenly spread, and
            the mean of their scores is the task's. Labels of tokens and pixels are not read.
        layers: The names of layers. Defaults to all layers with variables that at least two tasks
            depend on. Features with positions are averaged over them.
        max_rows: So many rows are drawn at most. Defaults to `4000`.
        seed: The seed of draws, halves and shuffles. Defaults to `0`.

    Returns:
        `Probes`.

    Raises:
        TypeError: If the model shows no graph, or the data are of another kind.
        ValueError: If no layer is shared, or data do not fit the tasks.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("high"), mtl.Task.regression("sum")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((2,)), tasks, shared=(8, 4))
        >>> x = np.random.default_rng(0).normal(size=(200, 2)).astype("float32")
        >>> y = {"high": (x[:, 0] > 0).astype(int), "sum": x.sum(axis=1)}
        >>> probes = probe(network, (x, y), tasks)
        >>> probes.scores.shape, probes.measures
        ((2, 2), {'high': 'AUC', 'sum': 'R2'})

    Reference:
        Alain and Bengio 2016, arXiv:1610.01644; Hewitt and Liang 2019, arXiv:1909.03368
        (selectivity; there labels are random per word and scores accuracies, here rows are shuffled
        and scores are free of the rates of classes).
    """
    core = read_core(model, tasks)
    tensors = (
        shared_layers(core)
        if layers is None
        else {name: layer_named(core, name) for name in layers}
    )
    if not tensors:
        raise ValueError(
            f"the tasks {list(core.outputs)} share no layer with variables; pass layers=[...], "
            "the names of layers to look at."
        )
    batches = list(read_rows(dataset, core.tasks))
    kept = _draw_rows(batches, core.tasks[0].name, max_rows, seed)
    features = read_features(core, tensors, batches, kept)
    labels = {task.name: read_labels(task, batches, kept) for task in core.tasks}
    values = np.array(
        [
            [_score(of_layer, labels[name], seed) for name in labels]
            for of_layer in features.values()
        ]
    )
    missing = {name: of_task.missing for name, of_task in labels.items() if of_task.missing}
    for k, name in enumerate(labels):
        if name not in missing and np.isnan(values[:, k, 0]).all():
            missing[name] = "has too few labels, or all of one value"
    return Probes(
        layers=tuple(tensors),
        tasks=tuple(core.outputs),
        measures={name: "AUC" if of_task.is_class else "R2" for name, of_task in labels.items()},
        scores=values[..., 0],
        controls=values[..., 1],
        rows=sum(int(np.sum(chosen)) for chosen in kept),
        missing=missing,
    )


def _draw_rows(batches: Sequence[Rows], task: str, max_rows: int, seed: int) -> list[Any]:
    """Returns which rows of each batch are kept."""
    sizes = [len(rows.weights[task]) for rows in batches]
    chosen = np.zeros(sum(sizes), dtype=bool)
    chosen[np.random.default_rng(seed).permutation(len(chosen))[:max_rows]] = True
    return np.split(chosen, np.cumsum(sizes)[:-1])


def _score(features: FloatArray, labels: Labels, seed: int) -> tuple[float, float]:
    """Returns the score of a layer for a task, and that with shuffled labels."""
    if labels.missing:
        return np.nan, np.nan
    fit = fit_classes if labels.is_class else fit_numbers
    scores = []
    for column in labels.values.T:
        rng = np.random.default_rng(seed)
        fitted, judged = split_rows(~np.isnan(column), rng)
        shuffled = column.copy()
        rows = np.concatenate([fitted, judged])
        shuffled[rows] = column[rng.permutation(rows)]
        of_column = [
            fit(features[fitted], values[fitted], features[judged], values[judged])
            if min(len(fitted), len(judged)) > 1
            else np.nan
            for values in (column, shuffled)
        ]
        if np.isfinite(of_column).all():
            scores.append(of_column)
    score, control = np.mean(scores, axis=0).tolist() if scores else (np.nan, np.nan)
    return score, control
