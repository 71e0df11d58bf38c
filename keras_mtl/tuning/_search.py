"""The public search for task weights."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import keras_tuner
import tensorflow as tf

from keras_mtl._tasks import Mode, Task, check_tasks
from keras_mtl.data import check_dataset
from keras_mtl.training._quiet_tracing import quiet_tracing
from keras_mtl.tuning._engine import check_choices, check_whole, make_tuner, quiet_threads
from keras_mtl.tuning._folder import describe_search, open_folder
from keras_mtl.tuning._objectives import Baselines, check_logged, get_goal, logged_modes
from keras_mtl.tuning._result import SearchResult, read_result
from keras_mtl.tuning._space import Space
from keras_mtl.tuning._weighted_tasks import WeightedTasks

_FIT_ARGUMENTS = {"epochs", "callbacks", "steps_per_epoch", "validation_steps", "verbose"}


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
    ratio: float = 100.0,
    seed: int = 0,
    executions_per_trial: int = 1,
    overwrite: bool = False,
    **fit_arguments: Any,
) -> SearchResult:
    """Searches for task weights by a validation metric, with Keras Tuner.

    Choose it when better weights are worth several full trainings. Choose a balancer instead to
    find weights within one training. The weights w of K tasks sum to K. They are searched on a
    logarithmic scale, in the largest ball in which no weight is more than `ratio` times another:

        w = K softmax(H' z)   with |z| <= ln(ratio) / sqrt(2)

    H is the Helmert matrix [K - 1, K] of orthonormal rows with sum 0 (the isometric log-ratio
    transform). This space is the same for every order of the tasks. So are the draws, which
    belong to the tasks' names: tasks in another order get the same trials, and the same result
    if the network that `build` makes does not depend on their order. The best weights may lie on
    the bound of the space: then a warning says so, and `SearchResult.at_bound` names the tasks.

    The searched weights replace the weights that the tasks have. With one task there is nothing
    to search: its weight is 1, and one trial measures it.

    A loss that the searched weights multiply is refused as the objective, because the search
    would choose small weights. Do not pass test data here: the search would fit it.

    A trial fails in the first epoch in which the objective, `val_loss`, a task's loss on the
    validation data or a trainable variable is not finite. (A network that does not log the losses
    of its tasks, since it was compiled without `compile_args`, is tried on the first validation
    batch.) A failed trial has no score and is
    never the best; a warning lists the failed trials by number and reason. Three trials in a row
    that end with another error stop the search.

    Args:
        build: `build(tasks)` returns a compiled model. It receives the tasks with the weights of
            a trial, so `network.compile("adam", **keras_mtl.compile_args(tasks))` uses them. As
            `build(tasks, hp)` it may search further hyper-parameters of Keras Tuner. It makes a
            new network and a new optimizer at each call. Open the scope of a `tf.distribute`
            strategy inside it.
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
        tuner: The tuner that proposes weights. `"grid"` gives each task three levels, a factor
            of `sqrt(ratio)` apart, and tries all ratios, equal weights first: 3^K - 2^K trials.
            `"hyperband"` trains many trials for few epochs and the best ones for up to `epochs`.
        max_trials: The largest number of trials. With `None`, `"grid"` and `"hyperband"` end by
            themselves.
        directory: Folder of the trials, from which a stopped search resumes. Defaults to a
            folder that is removed when the process ends.
        ratio: The largest ratio between two task weights.
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
        TypeError: If `build`, the objective, a dataset or a fit argument has a wrong type, or
            `build` returns no compiled model.
        ValueError: If the weights multiply the objective, if it is not measured on validation
            data, has the wrong direction or is not logged; if baselines, `ratio` or a dataset do
            not fit; if the network of `build` lacks an output, does not use the weights or is
            the one of an earlier trial; if `directory` holds another search; or inside the scope
            of a strategy.
        RuntimeError: If all trials failed, or three in a row ended with an error; the message
            holds the reasons.

    Reference:
        Egozcue et al., 2003, "Isometric Logratio Transformations for Compositional Data Analysis".

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
    fit_arguments = _read_fit_arguments(fit_arguments)
    _check_data(tasks, train, validation, fit_arguments)
    check_choices(tuner, max_trials, ratio, executions_per_trial, seed)
    goal = get_goal(objective, tasks, baselines)
    names = tuple(sorted(task.name for task in tasks))
    space = Space(names, float(ratio), grid=tuner == "grid")
    model = WeightedTasks(build, tasks, space, goal, int(seed))
    model.executions = int(executions_per_trial)
    # One task without further hyper-parameters has one point to try.
    if len(tasks) == 1 and not model.takes_hp:
        tuner, max_trials = "random", 1
    if not set(goal.reads) <= set(logged_modes(tasks)):
        _check_names(model, validation)
    settings = describe_search(model, tuner, fit_arguments, train, validation)
    folder = open_folder(directory, settings, overwrite)
    # Each trial trains a new model, which is traced anew.
    with quiet_threads(), quiet_tracing():
        engine = make_tuner(tuner, model, folder, max_trials, fit_arguments["epochs"])
        # A dataset keeps its own order, and Keras warns of its default (docs/keras_notes.md,
        # pain 76).
        engine.search(train, validation_data=validation, shuffle=False, **fit_arguments)
        return read_result(engine, tasks, space)


def _read_fit_arguments(fit_arguments: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `fit` with the defaults of a search."""
    if unknown := sorted(set(fit_arguments) - _FIT_ARGUMENTS):
        raise TypeError(
            f"Of the arguments of fit, a search takes {sorted(_FIT_ARGUMENTS)}; received {unknown}."
        )
    fit_arguments = {"epochs": 1, "verbose": 0, **fit_arguments}
    check_whole("epochs", fit_arguments["epochs"], 1)
    fit_arguments["epochs"] = int(fit_arguments["epochs"])
    callbacks = fit_arguments.get("callbacks") or []
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    return {**fit_arguments, "callbacks": list(callbacks)}


def _check_names(model: WeightedTasks, validation: tf.data.Dataset) -> None:
    """Checks the names of an objective that the tasks do not know, on a network for one batch."""
    network = model.build(keras_tuner.HyperParameters())
    logs = network.evaluate(validation.take(1), verbose=0, return_dict=True)
    check_logged(model.goal.reads, [f"val_{name}" for name in logs])


def _check_data(
    tasks: Sequence[Task], train: Any, validation: Any, fit_arguments: dict[str, Any]
) -> None:
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
