"""The public search for task weights."""

import os
from collections.abc import Callable, Sequence
from typing import Any, overload

import keras

from keras_mtl._tasks import Task
from keras_mtl.tuning._fronts._aims import Reference
from keras_mtl.tuning._objectives import Baselines
from keras_mtl.tuning._pareto_result import ParetoResult
from keras_mtl.tuning._request import Objective, Request, Tuner
from keras_mtl.tuning._result import SearchResult
from keras_mtl.tuning._run_search import run_search


@overload
def search_task_weights(
    build: Callable[..., keras.Model],
    tasks: Sequence[Task],
    train: Any,
    validation: Any,
    *,
    objective: list[Any],
    **arguments: Any,
) -> ParetoResult: ...


@overload
def search_task_weights(
    build: Callable[..., keras.Model],
    tasks: Sequence[Task],
    train: Any,
    validation: Any,
    *,
    objective: Objective,
    **arguments: Any,
) -> SearchResult: ...


def search_task_weights(
    build: Callable[..., keras.Model],
    tasks: Sequence[Task],
    train: Any,
    validation: Any,
    *,
    objective: Objective | list[Any],
    baselines: Baselines | None = None,
    reference: Reference | None = None,
    tuner: Tuner | None = None,
    max_trials: int | None = 10,
    workers: int = 1,
    stop_poor_trials: bool = False,
    directory: str | os.PathLike[str] | None = None,
    ratio: float = 100.0,
    seed: int = 0,
    executions_per_trial: int = 1,
    overwrite: bool = False,
    **fit_arguments: Any,
) -> SearchResult | ParetoResult:
    """Searches for task weights by validation metrics, with Keras Tuner or Optuna.

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

    With one objective, Keras Tuner searches for the best weights. With several objectives, Optuna
    searches for the front: weights that no other weights beat in all objectives. Choose that if
    no single number says which tasks matter more; take gains, which have no unit, and at most
    four objectives, for more tasks `["mean_relative_gain", "worst_task_gain"]`. The first trial
    then has equal weights. All objectives of a trial are read from one epoch, that of the best
    mean of the tasks' gains, or, without baselines of all tasks, of the best mean rank of the
    objectives among the epochs of the trial. (The best epochs of different tasks together would
    be a point that no network reaches.) The hypervolume of the front is measured from
    `reference`, which is declared before the search.

    The same weights mean different things to different optimizers: under SGD the weight of a task
    is also the learning rate of its tower, and under Adam the tower does not see it. So weights
    that were found with one optimizer do not fit another.

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
            `keras_tuner.Objective`; or gains, which are improvements of a task's metrics over
            `baselines`, relative to them: `"mean_relative_gain"` of all tasks,
            `"worst_task_gain"`, `"gain/<task>"` of one task, or `"task_gains"`, one objective per
            task. A list of these has several objectives; a list of one is one objective.
        baselines: The validation metrics of a model of each task alone:
            `{task: {metric: value}}`, or `{task: value}` for the task's first metric.
        reference: For several objectives, the value of each from which the hypervolume is
            measured: one number, a list, or a dict by objective. Defaults to -0.1 for gains;
            metrics with units have no default. Take the same for all searches that you compare.
        tuner: The tuner that proposes weights. `"bayesian"` by default for one objective. For
            several, `"tpe"` up to 100 trials and `"nsga2"` above, both of Optuna; with one
            objective too, these two return a `ParetoResult`. `"grid"` gives each task three
            levels, a factor of `sqrt(ratio)` apart, and tries all ratios, equal weights first:
            3^K - 2^K trials. `"hyperband"` trains many trials for few epochs and the best ones
            for up to `epochs`.
        max_trials: The largest number of trials. With `None`, `"grid"` and `"hyperband"` end by
            themselves.
        workers: The number of processes of this machine that work on trials, with Optuna. Each
            gets its share of the cores. `train` and `validation` are then sent to them; a
            dataset that cannot be sent (from a generator) is passed as a function that makes it.
            Callbacks are copied, and what they collect stays in the worker. With several
            workers the draws depend on their timing, so the same seed repeats no search.
        stop_poor_trials: Whether to stop a trial, with Optuna, in which every task was worse than
            the median of the finished trials in two epochs in a row, from the second epoch and
            five finished trials on. A trial in which one task shines is kept.
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
        A `SearchResult` for one objective. The score of a trial is the one of its best epoch. A
        `ParetoResult` for several.

    Raises:
        TypeError: If `build`, the objective, a dataset or a fit argument has a wrong type, or
            `build` returns no compiled model.
        ValueError: If the weights multiply the objective, if it is not measured on validation
            data, has the wrong direction or is not logged; if baselines, `ratio` or a dataset do
            not fit; if the network of `build` lacks an output, does not use the weights or is
            the one of an earlier trial; if `directory` holds another search; or inside the scope
            of a strategy.
        ImportError: If several objectives are passed and Optuna is not installed.
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
    return run_search(
        Request(
            build=build,
            tasks=tasks,
            train=train,
            validation=validation,
            objective=objective,
            weights=True,
            baselines=baselines,
            reference=reference,
            tuner=tuner,
            max_trials=max_trials,
            directory=directory,
            ratio=ratio,
            seed=seed,
            executions_per_trial=executions_per_trial,
            overwrite=overwrite,
            workers=workers,
            stop_poor_trials=stop_poor_trials,
            fit_arguments=fit_arguments,
        )
    )
