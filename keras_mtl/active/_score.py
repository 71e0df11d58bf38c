"""How little a network knows of the labels of rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.active._asking._distributions import FloatArray
from keras_mtl.active._asking._kinds import by_row, check_kind, distributions
from keras_mtl.active._asking._networks import (
    Batches,
    Predict,
    drawer,
    predictor,
    read_outputs,
)
from keras_mtl.active._asking._questions import list_questions, rules_by_task
from keras_mtl.active._bald import bald
from keras_mtl.active._entropy import entropy
from keras_mtl.active._least_confidence import least_confidence
from keras_mtl.active._margin import margin
from keras_mtl.data._elements._numbers import read_whole

_OF_ONE: dict[str, Callable[[Any], FloatArray]] = {
    "margin": margin,
    "entropy": entropy,
    "least_confidence": least_confidence,
}
RULES = (*_OF_ONE, "bald")


def score(
    network: keras.Model,
    rows: Any,
    tasks: Sequence[Task],
    rule: str | Mapping[str, str] = "margin",
    *,
    draws: int = 10,
    seed: int = 0,
    batch_size: int = 256,
) -> dict[str, FloatArray]:
    """Computes how little a network knows of each label of some rows: a high score asks for it.

    | rule | score | tasks |
    |---|---|---|
    | `"margin"` | `active.margin` | classes, yes or no |
    | `"entropy"` | `active.entropy` | classes, yes or no |
    | `"least_confidence"` | `active.least_confidence` | classes, yes or no |
    | `"bald"` | `active.bald` over draws with dropout; the variance of numbers | these, numbers |

    A task with several labels per row (tokens, pixels, labels without names) has the mean over
    them, since they are bought together; masked tokens do not count. Each column of a task with
    columns is a label of its own, called `"task.column"`.

    Draws run a copy of the network in training mode, except for batch normalization, which keeps
    its moving averages. So whatever else draws in training mode (noise, modality dropout) draws
    here too.

    Scores of different tasks have different units: `active.choose` divides by the mean of each.

    Args:
        network: A functional network, with an output per task; or its `BalancedModel`.
        rows: Inputs as arrays, in the structure that the network takes; or a batched
            `tf.data.Dataset` of inputs, or of `(x, y)`, whose labels are not read.
        tasks: The tasks to score.
        rule: One for all tasks, or one by task; a task that is not named is left out. Defaults to
            `"margin"`.
        draws: The number of draws for `"bald"`, 2 or more. Defaults to `10`.
        seed: The seed of the draws. Defaults to `0`.
        batch_size: The number of rows per batch of arrays. Defaults to `256`.

    Returns:
        Scores `[rows]` by task, or by `"task.column"`.

    Raises:
        TypeError: If the network does not show its graph.
        ValueError: If a rule is unknown or not for a task, the network has no output for it, a
            prediction is no probability, an input is NaN or infinite (and the network does not fill
            it), or the draws of all tasks are equal (no dropout).

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.multiclass("topic", 3), mtl.Task.binary("spam")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> scores = score(network, np.ones((5, 4)), tasks)
        >>> sorted(scores), scores["topic"].shape
        (['spam', 'topic'], (5,))
    """
    by_name = {task.name: task for task in tasks}
    rules = rules_by_task(rule, tasks, RULES)
    scored = [by_name[name] for name in rules]
    for task in scored:
        check_kind(task, rules[task.name])
    network, outputs = read_outputs(network, scored)
    batches = Batches(network, rows, batch_size)
    plain = {task: rules[task.name] for task in scored if rules[task.name] != "bald"}
    drawn = [task for task in scored if rules[task.name] == "bald"]
    scores = _of_one_prediction(predictor(network, outputs), batches, plain) if plain else {}
    if drawn:
        draws = read_whole(draws, "draws is", low=2)
        draw = drawer(network, [task.name for task in drawn], draws, seed)
        scores |= _of_draws(draw, batches, drawn)
    return _by_question(scored, scores)


def _of_one_prediction(
    predict: Predict, batches: Iterable[Any], rules: Mapping[Task, str]
) -> dict[str, FloatArray]:
    """Returns the scores of rules that read one prediction, `[rows]` or `[rows, columns]`."""
    parts: dict[str, list[FloatArray]] = {task.name: [] for task in rules}
    for inputs in batches:
        predictions = predict(inputs)
        for task, rule in rules.items():
            values = _OF_ONE[rule](distributions(task, predictions[task.name]))
            mask = predictions.get(f"{task.name}/mask")
            parts[task.name].append(by_row(task, values, mask))
    return {name: np.concatenate(values) for name, values in parts.items()}


def _of_draws(
    draw: Callable[[Any, int], Iterable[Mapping[str, Any]]],
    batches: Iterable[Any],
    tasks: Sequence[Task],
) -> dict[str, FloatArray]:
    """Returns how far draws disagree, `[rows]` or `[rows, columns]`.

    Raises:
        ValueError: If all draws are equal.
    """
    parts: dict[str, list[FloatArray]] = {task.name: [] for task in tasks}
    differ = False
    for index, inputs in enumerate(batches):
        samples = list(draw(inputs, index))
        for task in tasks:
            arrays = np.stack([np.asarray(sample[task.name], "float64") for sample in samples])
            differ |= bool((arrays != arrays[0]).any())
            if task.described().kind == "number":
                values: FloatArray = arrays.var(axis=0)
            else:
                values = bald(np.stack([distributions(task, array) for array in arrays]))
            parts[task.name].append(by_row(task, values, samples[0].get(f"{task.name}/mask")))
    if not differ:
        raise ValueError(
            "rule='bald': all draws are equal, so that every score is 0. The network draws nothing "
            "in training mode: give it keras.layers.Dropout, or use rule='margin'."
        )
    return {name: np.concatenate(values) for name, values in parts.items()}


def _by_question(tasks: Sequence[Task], scores: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Returns scores by what can be bought: those of columns apart."""
    questions = list_questions(tasks) if tasks else {}
    return {
        name: scores[task.name] if column is None else scores[task.name][:, column]
        for name, (task, column) in questions.items()
    }
