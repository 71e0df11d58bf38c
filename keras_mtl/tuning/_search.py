"""The public search over architecture, balancer and all other hyper-parameters."""

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
def search(
    build: Callable[..., keras.Model],
    tasks: Sequence[Task],
    train: Any,
    validation: Any,
    *,
    objective: list[Any],
    **arguments: Any,
) -> ParetoResult: ...


@overload
def search(
    build: Callable[..., keras.Model],
    tasks: Sequence[Task],
    train: Any,
    validation: Any,
    *,
    objective: Objective,
    **arguments: Any,
) -> SearchResult: ...


def search(
    build: Callable[..., keras.Model],
    tasks: Sequence[Task],
    train: Any,
    validation: Any,
    *,
    objective: Objective | list[Any],
    weights: bool = False,
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
    """Searches for architecture, balancer, learning rate and all else that `build` asks `hp` for.

    Choose it when the weights are not the only question, or not a question at all, because a
    balancer sets them. Choose `search_task_weights` for weights alone; it is this function with a
    `build` that asks for nothing. The search is only as fair as its budget: of many trials the
    best one is too good by chance, so train its setting again with other seeds before you compare
    it with anything, and give each contender the same number of trials.

    `hp` is a `keras_tuner.HyperParameters`: `hp.Choice`, `hp.Int`, `hp.Float` and `hp.Boolean`
    return the values of a trial. A hyper-parameter that belongs to one choice only stands in
    `with hp.conditional_scope(name, values):`, and is `None` elsewhere. The names are free, except
    that they begin neither with `task_weights/` nor with `tuner/`.

    With one objective the engine is Keras Tuner, with several it is Optuna, from the same `build`.
    Objectives, the epoch of a trial, failed trials, workers and folders are those of
    `search_task_weights`, whose docstring describes them.

    Args:
        build: `build(tasks, hp)` returns a compiled `keras.Model` or `BalancedModel`, a new one at
            each call. It passes the tasks that it receives to the network, to `compile_args` and
            to `BalancedModel`.
        tasks: The tasks.
        train: Batched `tf.data.Dataset` to train on, or a function that makes it.
        validation: Batched `tf.data.Dataset` on which the objectives are measured, or a function
            that makes it. Never test data: the search would fit it.
        objective: One objective or a list of them, as for `search_task_weights`.
        weights: Whether to search the task weights too. With `False` the tasks keep theirs. Leave
            it so for balancers that set the weights in training, for which other weights only
            scale the losses.
        baselines: The validation metrics of a model of each task alone, for gains.
        reference: The value of each objective from which the hypervolume is measured.
        tuner: `"bayesian"`, `"random"`, `"hyperband"` and `"grid"` of Keras Tuner, or `"tpe"` and
            `"nsga2"` of Optuna. By default `"bayesian"` for one objective, and for several `"tpe"`
            up to 100 trials and `"nsga2"` above.
        max_trials: The largest number of trials.
        workers: The number of processes, with Optuna.
        stop_poor_trials: Whether to stop a trial in which every task is worse than usual, with
            Optuna.
        directory: Folder of the trials, from which a stopped search resumes. It holds another
            search if tasks, objective, data or arguments differ; `build` cannot be compared, so
            choose another folder when you change it.
        ratio: The largest ratio between two task weights.
        seed: The same seed repeats the same search.
        executions_per_trial: Number of trainings per trial.
        overwrite: Whether to remove the trials that `directory` holds.
        **fit_arguments: `epochs` (1 by default), `callbacks`, `steps_per_epoch`,
            `validation_steps` and `verbose` of `keras.Model.fit`.

    Returns:
        A `SearchResult` for one objective: `build(result.tasks, result.hp)` builds the best network
        again. A `ParetoResult` for several: `build(result.tasks_of(point), point.hp)` does so for
        a point of `result.front`.

    Raises:
        TypeError: If `build` takes no `hp` and no weights are searched, so that all trials were
            the same; and as for `search_task_weights`.
        ValueError: As for `search_task_weights`.
        ImportError: If several objectives are passed and Optuna is not installed.
        RuntimeError: If all trials failed, or three in a row ended with an error.

    Example:
        >>> import numpy as np
        >>> import tensorflow as tf
        >>> import keras_mtl as mtl
        >>> from keras_mtl import BalancedModel, architectures, balancers
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> def build(tasks, hp):
        ...     name = hp.Choice("architecture", ["mmoe", "hard_sharing"])
        ...     builder, tower = getattr(architectures, name), (hp.Int("units", 4, 16),)
        ...     network = builder(keras.Input((4,)), tasks, tower=tower)
        ...     name = hp.Choice("balancer", ["Equal", "CAGrad"])
        ...     arguments = {}
        ...     with hp.conditional_scope("balancer", ["CAGrad"]):
        ...         c = hp.Float("c", 0.1, 0.9)
        ...         if name == "CAGrad":
        ...             arguments["c"] = c
        ...     model = BalancedModel(network, tasks, getattr(balancers, name)(**arguments))
        ...     rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        ...     model.compile(keras.optimizers.Adam(rate))
        ...     return model
        >>> y = {"click": np.tile([0.0, 1.0], 8), "price": np.arange(16.0)}
        >>> data = tf.data.Dataset.from_tensor_slices((np.ones((16, 4)), y)).batch(8)
        >>> result = search(
        ...     build, tasks, data.take(1), data.skip(1),
        ...     objective=mtl.monitor(tasks[1], "mae"), tuner="random", max_trials=2,
        ... )
        >>> sorted(set(result.hyperparameters) - {"c"})
        ['architecture', 'balancer', 'learning_rate', 'units']
        >>> type(build(result.tasks, result.hp)).__name__
        'BalancedModel'
    """
    return run_search(
        Request(
            build=build,
            tasks=tasks,
            train=train,
            validation=validation,
            objective=objective,
            weights=weights,
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
