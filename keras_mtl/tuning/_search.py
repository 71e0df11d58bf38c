"""The search for task weights."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import keras_tuner
import tensorflow as tf

from keras_mtl._tasks import Mode, Task, check_tasks
from keras_mtl.data import check_dataset
from keras_mtl.tuning._engine import check_choices, make_tuner, open_folder
from keras_mtl.tuning._objectives import Baselines, get_goal
from keras_mtl.tuning._weighted_tasks import Space, WeightedTasks, reweighted

_FIT_ARGUMENTS = {"epochs", "callbacks", "steps_per_epoch", "validation_steps", "verbose"}


@dataclasses.dataclass(frozen=True)
class SearchTrial:
    """The weights that a trial had and what it scored (`None` if it failed).

    Example:
        >>> SearchTrial({"click": 0.5, "buy": 1.5}, 0.71).score
        0.71
    """

    weights: dict[str, float]
    score: float | None


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What `search_task_weights` found.

    Args:
        weights: The best weights by task name; they sum to the number of tasks.
        score: The objective that they reached on the validation data.
        tasks: The tasks with these weights, to build the final network from.
        trials: All trials, the best one first.
        tuner: The Keras Tuner tuner, which knows the rest.

    Example:
        >>> result = SearchResult({"click": 1.0}, 0.9, (Task.binary("click"),), (), None)
        >>> result.tasks[0].weight
        1.0
    """

    weights: dict[str, float]
    score: float
    tasks: tuple[Task, ...]
    trials: tuple[SearchTrial, ...]
    tuner: Any


def search_task_weights(
    build: Callable[..., keras.Model],
    tasks: Sequence[Task],
    train: Any,
    validation: Any,
    *,
    objective: tuple[str, Mode] | keras_tuner.Objective | Literal["mean_relative_gain"],
    baselines: Baselines | None = None,
    tuner: Literal["bayesian", "random", "hyperband", "grid"] = "bayesian",
    max_trials: int | None = 10,
    directory: str | os.PathLike[str] | None = None,
    bounds: tuple[float, float] = (0.1, 10.0),
    seed: int = 0,
    executions_per_trial: int = 1,
    overwrite: bool = False,
    **fit_arguments: Any,
) -> SearchResult:
    """Searches the weights of tasks by a validation metric, with Keras Tuner.

    Choose it when a few weights are worth a few full trainings; a balancer finds weights within
    one training. Weights are searched as ratios to the first task's, on a logarithmic scale,
    and then scaled to sum to the number of tasks; those that the tasks have are replaced. With
    one task there is nothing to search: its weight is 1, and one trial measures it.

    A loss that the searched weights multiply is refused as the objective: it would choose small
    weights. The test data has no place here.

    Args:
        build: `build(tasks)` returns a compiled model; it gets the tasks with a trial's weights,
            so `network.compile("adam", **keras_mtl.compile_args(tasks))` uses them. As
            `build(tasks, hp)` it may search more, by Keras Tuner's hyper-parameters. The scope
            of a `tf.distribute` strategy is opened inside it.
        tasks: The tasks.
        train: Batched `tf.data.Dataset` to train on, of known cardinality (or endless, with
            `steps_per_epoch`); see `keras_mtl.data.check_dataset`.
        validation: Likewise (`validation_steps`); the objective is measured on it.
        objective: `keras_mtl.monitor(task, metric)`, that is `(name, mode)`, or a
            `keras_tuner.Objective`, or `"mean_relative_gain"`: the mean over tasks of the
            improvement of the task's metrics over `baselines`, relative to them.
        baselines: What a model of each task alone reached on the validation data:
            `{task: {metric: value}}`, or `{task: value}` for the task's first metric.
        tuner: Which tuner proposes weights. `"grid"` tries five ratios a task. `"hyperband"`
            gives many trials few epochs and the best ones up to `epochs`.
        max_trials: The most trials; `None` stops `"grid"` and `"hyperband"` at their own end.
        directory: Where trials are kept; a search that was stopped goes on there. Defaults to
            a folder that is removed when the process ends.
        bounds: Smallest and largest ratio to the first task's weight.
        seed: Repeats the same search. All trials begin with the same initial values.
        executions_per_trial: How many trainings, from different initial values, a score is
            the mean of.
        overwrite: Whether to forget what `directory` holds. Defaults to `False`.
        **fit_arguments: Of `keras.Model.fit`: `epochs`, `callbacks` (copied for each trial),
            `steps_per_epoch`, `validation_steps` and `verbose` (0 unless given).

    Returns:
        A `SearchResult`; the best epoch of a trial counts.

    Raises:
        TypeError: If `build`, the objective, a dataset or a fit argument is of a wrong kind.
        ValueError: If the objective is scaled by the weights, is not measured on validation
            data, or is not logged; if baselines, bounds or the dataset do not fit; if
            `directory` holds another search; or inside a strategy's scope.
        RuntimeError: If no trial ended with a score; the message holds the first one's error.

    Example:
        >>> import numpy as np
        >>> import tensorflow as tf
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> def build(tasks):
        ...     x = keras.Input((4,))
        ...     network = keras.Model(x, {task.name: task.output(x) for task in tasks})
        ...     network.compile("adam", **mtl.compile_args(tasks))
        ...     return network
        >>> y = {"click": np.tile([0.0, 1.0], 8), "price": np.arange(16.0)}
        >>> data = tf.data.Dataset.from_tensor_slices((np.ones((16, 4)), y)).batch(8)
        >>> result = search_task_weights(
        ...     build, tasks, data.take(1), data.skip(1),
        ...     objective=mtl.monitor(tasks[1], "mae"), tuner="random", max_trials=2,
        ... )
        >>> round(sum(result.weights.values()), 6)
        2.0
        >>> len(result.trials)
        2
    """
    tasks = check_tasks(tasks)
    fit_arguments = {"epochs": 1, "verbose": 0, **fit_arguments}
    _check_data(tasks, train, validation, fit_arguments)
    check_choices(tuner, max_trials, bounds)
    goal = get_goal(objective, tasks, baselines)
    space = Space(tuple(task.name for task in tasks), *bounds, grid=tuner == "grid")
    model = WeightedTasks(build, tasks, space, goal, seed)
    model.executions = executions_per_trial
    if len(tasks) == 1 and not model.takes_hp:
        tuner, max_trials = "random", 1
    folder = open_folder(directory, model, tuner, fit_arguments, overwrite)
    engine = make_tuner(tuner, model, folder, max_trials, fit_arguments["epochs"])
    engine.search(train, validation_data=validation, shuffle=False, **fit_arguments)
    return _result(engine, tasks, space)


def _check_data(
    tasks: Sequence[Task], train: Any, validation: Any, fit_arguments: dict[str, Any]
) -> None:
    if unknown := sorted(set(fit_arguments) - _FIT_ARGUMENTS):
        raise TypeError(
            f"Of the arguments of fit, a search takes {sorted(_FIT_ARGUMENTS)}; received {unknown}."
        )
    if tf.distribute.has_strategy():
        raise ValueError(
            "A search cannot run inside a strategy's scope, which Keras Tuner closes between "
            "trials: open the scope inside build(tasks), around the network and its compile."
        )
    if train is validation:
        raise ValueError(
            "train and validation are the same dataset: weights must be judged by other rows."
        )
    for name, dataset, steps in (
        ("train", train, "steps_per_epoch"),
        ("validation", validation, "validation_steps"),
    ):
        try:
            check_dataset(dataset, tasks, steps_per_epoch=fit_arguments.get(steps))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} cannot be used: {error}") from error


def _result(engine: Any, tasks: Sequence[Task], space: Space) -> SearchResult:
    ended = engine.oracle.get_best_trials(len(engine.oracle.trials))
    trials = tuple(
        SearchTrial(
            space.weights(trial.hyperparameters.values),
            float(trial.score) if trial.status == "COMPLETED" else None,
        )
        for trial in ended
    )
    score = trials[0].score if trials else None
    if score is None:
        why = (ended[0].message if ended else None) or "the objective was never a number"
        raise RuntimeError(f"No trial of the search ended with a score. The first one: {why}")
    weights = trials[0].weights
    return SearchResult(weights, score, reweighted(tasks, weights), trials, engine)
