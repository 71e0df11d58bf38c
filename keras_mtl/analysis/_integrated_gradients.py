"""Integrated gradients of the logits of all tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl._keras_internals import node_of
from keras_mtl._tasks import Task
from keras_mtl.analysis._attributions import Attributions
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._baselines import read_baselines, read_inputs, take_rows
from keras_mtl.analysis._inside._core import Core, read_core
from keras_mtl.analysis._inside._cut import kind_of_number
from keras_mtl.analysis._inside._entrances import Entrance, find_entrances
from keras_mtl.analysis._inside._path import Path, PathIntegral
from keras_mtl.analysis._inside._targets import read_targets

_TOLERANCE = 0.05  # of the mean |change| of the number, for 95 % of rows


def integrated_gradients(
    model: keras.Model,
    inputs: Any,
    tasks: Sequence[Task],
    *,
    baseline: Any,
    targets: Mapping[str, Any] | None = None,
    steps: int = 64,
    batch_size: int = 256,
) -> Attributions:
    """Attributes the predictions of all tasks to the inputs, row by row.

    With the number F_k of task k, which is its logit where it predicts probabilities, the row x and
    the baseline x0, an input i gets

        (x_i - x0_i) mean over n of dF_k / dx_i at x0 + (n - 1/2) / N (x - x0),    n = 1, ..., N

    whose sum over all inputs is F_k(x) - F_k(x0) on a fine path. The gradient at x alone says
    nothing where a prediction is saturated; a difference of predictions says nothing of the parts.
    One forward pass per node serves all tasks.

    Choose it to explain single predictions, or to compare what tasks read. The result depends on
    the baseline: the mean of training rows for numbers, the id of a missing or unknown word for
    ids, black or blurred for images; try several, or pass several to average over. Choose
    `permutation_importance` to know what an input is worth for the metrics, `saliency` for a quick
    look at images. Correlated inputs share the credit as the network happens to use them.

    Ids are attributed where they become vectors: at the output of a `keras.layers.Embedding`,
    summed over its axis. So are raw columns, at the output of the encoder (`data.tabular_encoder`),
    by name of the column. Whatever else turns ids, texts or booleans into floats is treated alike.

    Args:
        model: A functional network, or a `BalancedModel` of one. It stays as it is.
        inputs: The rows that are explained: an array, or a dict by input name, `[rows, ...]`.
        tasks: The tasks of the network, or some of them.
        baseline: x0: a number for all inputs; or one row; or several, `[baselines, ...]`, over
            which the result is averaged; of a dict of inputs a dict of these (or of texts).
        targets: By task, the entry of its last axis that is explained: a number, or the name of a
            column or class. Defaults to the class that is predicted for the row, and to the mean
            over columns. Positions and pixels are averaged, without those that are masked.
        steps: N. Defaults to `64`. The error of networks of ReLUs falls as 1 / N.
        batch_size: The number of rows that are computed together. Defaults to `256`.

    Returns:
        `Attributions`. An input that a task does not read has exactly 0.

    Raises:
        TypeError: If the model shows no graph.
        ValueError: If inputs, baseline or targets do not fit; if the network reads no floats; or if
            the attributions of more than 5 % of rows miss the difference that they explain by more
            than 5 % of its mean size.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.regression("age")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((3,), name="x"), tasks)
        >>> x = np.random.default_rng(0).normal(size=(20, 3))
        >>> result = integrated_gradients(network, x, tasks, baseline=x.mean(axis=0))
        >>> result.inputs, result.attributions["age"]["x/1"].shape, result.kinds["income"]
        (('x/0', 'x/1', 'x/2'), (20,), 'logit')

    Reference:
        Sundararajan et al. 2017, arXiv:1703.01365. Here the midpoint rule, whose error is less than
        half of that of the right-point rule of much code, and logits instead of probabilities. The
        paper sums over a straight path of pixels; for ids the path is one of embedded vectors, as
        usual.
    """
    core = read_core(model, tasks)
    if type(steps) is not int or steps < 1 or type(batch_size) is not int or batch_size < 1:
        raise ValueError(
            f"steps and batch_size are {steps!r} and {batch_size!r}; expected whole numbers of at "
            "least 1."
        )
    arrays = read_inputs(inputs)
    baselines = read_baselines(baseline, arrays)
    chosen = read_targets(core.tasks, targets, core.outputs)
    entrances = find_entrances(core)
    if not entrances:
        raise ValueError("no float leads to the outputs of the network: nothing to attribute.")
    path = Path(core, entrances, chosen, steps)
    num_rows = len(keras.tree.flatten(arrays)[0])
    parts = [
        path.integrate(take_rows(arrays, slice(start, start + batch_size)), baselines)
        for start in range(0, num_rows, batch_size)
    ]
    predictions = path.predict(take_rows(arrays, slice(0, 1)))
    kinds = {name: kind_of_number(predictions[name]) for name in core.outputs}
    result = _gather(core, entrances, parts, kinds)
    _check_completeness(result, steps)
    return result


def _gather(
    core: Core, entrances: Sequence[Entrance], parts: Sequence[PathIntegral], kinds: dict[str, str]
) -> Attributions:
    names = tuple(core.outputs)
    by_entrance = {
        name: [
            np.concatenate([part.attributions[name][e] for part in parts])
            for e in range(len(entrances))
        ]
        for name in names
    }
    attributions = {name: _by_input(entrances, by_entrance[name]) for name in names}
    numbers = {name: np.concatenate([part.ends[name] for part in parts]) for name in names}
    baselines = {name: np.concatenate([part.starts[name] for part in parts]) for name in names}
    errors = {}
    for name in names:
        total = sum(values.reshape(len(values), -1).sum(axis=1) for values in by_entrance[name])
        errors[name] = np.abs(total - (numbers[name] - baselines[name]))
    inputs = tuple(attributions[names[0]])
    return Attributions(names, inputs, attributions, numbers, baselines, errors, kinds)


def _by_input(entrances: Sequence[Entrance], values: Sequence[FloatArray]) -> dict[str, FloatArray]:
    """Returns attributions by input; several entrances of one column are added up."""
    result: dict[str, FloatArray] = {}
    for entrance, at_entrance in zip(entrances, values, strict=True):
        summed = at_entrance.sum(axis=-1) if entrance.sums else at_entrance
        columns = {entrance.name: summed}
        if entrance.columns is not None:
            flat = summed.reshape(len(summed), -1)
            columns = {}
            for i, name in enumerate(entrance.columns):
                columns[name] = columns.get(name, 0.0) + flat[:, i]
        for name, of_column in columns.items():
            before = result.get(name)
            if before is not None and before.shape == of_column.shape:
                result[name] = before + of_column
            elif before is not None:  # an input that is read as a column and in another way, too
                layer = node_of(entrance.tensor).operation.name
                result[f"{name} ({layer})"] = of_column
            else:
                result[name] = of_column
    return result


def _check_completeness(result: Attributions, steps: int) -> None:
    for task, errors in result.errors.items():
        numbers, baselines = result.numbers[task], result.baselines[task]
        # Differences that are rounding alone are no change.
        rounding = 1e-5 * max(np.abs(numbers).max(), np.abs(baselines).max())
        size = np.abs(numbers - baselines).mean()
        share = np.mean(errors > _TOLERANCE * size + rounding)
        if share > 1 - 0.95 or not np.isfinite(errors).all():
            raise ValueError(
                f"task {task!r}: the attributions of {share:.0%} of the rows miss the difference "
                f"from the baseline by more than {_TOLERANCE:.0%} of its mean size, {size:.3g}; "
                f"the largest error is {errors.max():.3g}. Expected an error that small for 95 % "
                f"of rows. Pass more steps (there were {steps}), or a nearer baseline; if that "
                "does not help, an operation of the network lets no gradient through."
            )
