"""The public search for task weights, and its results."""

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
    """Holds the weights of a trial and its score (`None` if the trial failed).

    Example:
        >>> SearchTrial({"click": 0.5, "buy": 1.5}, 0.71).score
        0.71
    """

    weights: dict[str, float]
    score: float | None


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """Holds the result of `search_task_weights`.

    Args:
        weights: The best weights, by task name; they sum to the number of tasks.
        score: The objective that these weights reached on the validation data.
        tasks: The tasks with these weights, from which to build the final network.
        trials: All trials, the best one first.
        tuner: The tuner of Keras Tuner, which holds all other records of the search.

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
    """Searches for task weights by a validation metric, with Keras Tuner.

    Choose it when better weights are worth several full trainings. Choose a balancer instead to
    find weights within one training. Weights are searched as ratios r_k to the weight of the
    first task, on a logarithmic scale, and then scaled to sum to the number of tasks K:

        w_k = K r_k / (r_1 + ... + r_K)   with r_1 = 1

    They replace the weights that the tasks have. With one task there is nothing to search: its
    weight is 1, and one trial measures it.

    A loss that the searched weights multiply is refused as the objective, because the search
    would choose small weights. Do not pass test data here: the search would fit it.

    Args:
        build: `build(tasks)` returns a compiled model. It receives the tasks with the weights of
            a trial, so `network.compile("adam", **keras_mtl.compile_args(tasks))` uses them. As
            `build(tasks, hp)` it may search further hyper-parameters of Keras Tuner. Open the
            scope of a `tf.distribute` strategy inside it.
        tasks: The tasks.
        train: Batched `tf.data.Dataset` to train on, of known cardinality (or endless, with
            `steps_per_epoch`); see `keras_mtl.data.check_dataset`.
        validation: Batched `tf.data.Dataset` on which the objective is measured, of known
            cardinality (or endless, with `validation_steps`).
        objective: `keras_mtl.monitor(task, metric)`, that is `(name, mode)`, or a
            `keras_tuner.Objective`, or `"mean_relative_gain"`: the mean over tasks of the
            improvement of the task's metrics over `baselines`, relative to them.
        baselines: The validation metrics of a model of each task alone:
            `{task: {metric: value}}`, or `{task: value}` for the task's first metric.
        tuner: The tuner that proposes weights. `"grid"` tries five ratios per task.
            `"hyperband"` trains many trials for few epochs and the best ones for up to `epochs`.
        max_trials: The largest number of trials. With `None`, `"grid"` and `"hyperband"` end by
            themselves.
        directory: Folder of the trials, from which a stopped search resumes. Defaults to a
            folder that is removed when the process ends.
        bounds: Smallest and largest ratio to the first task's weight.
        seed: The same seed repeats the same search. All trials begin with the same initial
            values.
        executions_per_trial: Number of trainings per trial, from different initial values; the
            score is their mean.
        overwrite: Whether to remove the trials that `directory` holds. Defaults to `False`.
        **fit_arguments: Arguments of `keras.Model.fit`: `epochs` (1 by default), `callbacks`
            (copied for each trial), `steps_per_epoch`, `validation_steps` and `verbose` (0 by
            default).

    Returns:
        A `SearchResult`. The score of a trial is the one of its best epoch.

    Raises:
        TypeError: If `build`, the objective, a dataset or a fit argument has a wrong type.
        ValueError: If the weights multiply the objective, if it is not measured on validation
            data or is not logged; if baselines, bounds or a dataset do not fit; if `directory`
            holds another search; or inside the scope of a strategy.
        RuntimeError: If no trial ended with a score; the message holds the error of the first
            trial.

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
    # One task without further hyper-parameters has one point to try.
    if len(tasks) == 1 and not model.takes_hp:
        tuner, max_trials = "random", 1
    folder = open_folder(directory, model, tuner, fit_arguments, overwrite)
    engine = make_tuner(tuner, model, folder, max_trials, fit_arguments["epochs"])
    # A dataset keeps its own order, and Keras warns of its default (docs/keras_notes.md, pain 76).
    engine.search(train, validation_data=validation, shuffle=False, **fit_arguments)
    return _result(engine, tasks, space)


def _check_data(
    tasks: Sequence[Task], train: Any, validation: Any, fit_arguments: dict[str, Any]
) -> None:
    if unknown := sorted(set(fit_arguments) - _FIT_ARGUMENTS):
        raise TypeError(
            f"Of the arguments of fit, a search takes {sorted(_FIT_ARGUMENTS)}; received {unknown}."
        )
    # docs/keras_notes.md, pains 49 and 80; keras-tuner#915
    if tf.distribute.has_strategy():
        raise ValueError(
            "A search cannot run inside the scope of a strategy, which Keras Tuner closes between "
            "trials: open the scope inside build(tasks), around the network and its compile."
        )
    if train is validation:
        raise ValueError(
            "train and validation are the same dataset: weights must be judged on other rows."
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
    best_first = engine.oracle.get_best_trials(len(engine.oracle.trials))
    trials = tuple(
        SearchTrial(
            space.weights(trial.hyperparameters.values),
            float(trial.score) if trial.status == "COMPLETED" else None,
        )
        for trial in best_first
    )
    score = trials[0].score if trials else None
    # Keras Tuner ends such a search without an error (docs/keras_notes.md, pain 46).
    if score is None:
        reason = best_first[0].message if best_first else None
        raise RuntimeError(
            "No trial of the search ended with a score. The first one: "
            f"{reason or 'the objective was never a number'}"
        )
    weights = trials[0].weights
    return SearchResult(weights, score, reweighted(tasks, weights), trials, engine)
