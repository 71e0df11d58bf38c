"""Whether multi-task learning helped, and which way of it, beside one network per task."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.callbacks._watching._watched_metrics import read_metrics
from keras_mtl.data._elements._numbers import read_whole
from keras_mtl.studies._budget import Budget
from keras_mtl.studies._carry_out import carry_out
from keras_mtl.studies._contenders._contender import BASELINE
from keras_mtl.studies._contenders._network import Network
from keras_mtl.studies._contenders._read import (
    read_contenders,
    read_networks,
    read_optimizer,
    read_rates,
)
from keras_mtl.studies._data._labeled_batches import count_labeled
from keras_mtl.studies._data._parts import StudyData
from keras_mtl.studies._describe import describe_study
from keras_mtl.studies._plan import Plan
from keras_mtl.studies._study import Study
from keras_mtl.studies._trainings._folder import only_user, open_folder


def compare(
    contenders: Mapping[str, Any],
    tasks: Sequence[Task],
    train: Any,
    validation: Any,
    test: Any,
    *,
    budget: Budget | None = None,
    directory: str | os.PathLike[str] | None = None,
    baseline: Callable[..., Any] | str | None = None,
    baseline_rows: Literal["all", "labeled"] = "all",
    metrics: str | Mapping[str, Any] | None = None,
    margin: float | Mapping[str, float] = 0.0,
    optimizer: Any = keras.optimizers.Adam,
    learning_rate: Any = (1e-4, 1e-2),
    blocks: Any = None,
    workers: int = 1,
    seed: int = 0,
    steps_per_epoch: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    overwrite: bool = False,
    verbose: bool = True,
) -> Study:
    """Compares ways of multi-task learning with one network per task, at equal budgets.

    For the baseline (one network per task) and each contender, per network:

    1. `budget.trials` settings are trained and judged by validation data: learning rates, the same
       for all contenders, and what a contender searches besides.
    2. The best setting is trained from `budget.seeds` fresh seeds. The best epoch is chosen by
       validation data: that of the highest mean gain over the baseline.
    3. Test rows are predicted once, and `analysis.compare` decides for each task whether the
       contender helped, hurt, made no difference or is undecided, with intervals over seeds and
       test rows, and p-values corrected for all tasks and contenders.

    Choose it before you ship a multi-task network, and when you choose between several. Choose
    `advise` where you have no contenders yet. Not for test data that earlier studies were chosen
    by: the verdict would be too good.

    A study is resumable. Call it again with the same folder after the process was killed: trainings
    that ended are read, and only the others are done. So a later call may add contenders to
    a study. A training that failed is kept as failed,
    with its reason, and its seed is left out of the comparison; delete its file to train it again.
    Trainings with the same seed are equal if the data come in the same order: let `train` be a
    function that returns the dataset, which is called anew for each training after its seed is set.
    A dataset that reshuffles goes on in its order from training to training. Seeds of Python,
    NumPy and TensorFlow are set by each training.

    Args:
        contenders: By name, `build(tasks)`, which returns a new network or `BalancedModel`. The
            study compiles it; one that is compiled already keeps its optimizer, and no learning
            rates are tried for it. As `build(tasks, hp)` it may ask for hyper-parameters of Keras
            Tuner (`hp.Choice("experts", [4, 8])`). Or what `searched` and `grouped` return.
        tasks: The tasks.
        train: A batched `tf.data.Dataset` of `(x, y)` or `(x, y, w)` with dicts by task, or a
            function without arguments that returns one. Missing labels are masked, as by
            `data.mask_missing`.
        validation: Likewise, for all choices.
        test: Likewise, for verdicts alone. Validation and test have a fixed order.
        budget: What each network may cost. Defaults to `Budget()`.
        directory: The folder of the study. Defaults to one that is removed when the process ends.
        baseline: `build(tasks)` for the networks of the baseline, called with one task at a time;
            or the name of a contender, whose function is taken. Defaults to the first contender:
            single-task networks then have the same body, each as wide as the shared one.
        baseline_rows: `"all"`: networks of the baseline get the batches that contenders get, of
            which few rows may have a label of their task. `"labeled"`: each gets the rows with a
            label of its task alone, in batches that are full of them. It then takes fewer steps per
            epoch, and sees each label as often as contenders do: the budget is equal in epochs, not
            in steps, which the report lists. (With `steps_per_epoch` it takes as many steps, and
            sees its labels more often.) Choose it where labels are sparse, since a batch with two
            labels makes noisy steps, for which sharing is no cure. The training data are read once
            more per task. Defaults to `"all"`.
        metrics: The metric of each task by which epochs and settings are chosen and verdicts are
            made: a name for all tasks, or by task. Defaults to the first metric of a task whose
            direction is known, or else its loss.
        margin: The smallest gain that counts, as a fraction of the baseline's score, for all tasks
            or by task. Defaults to 0, with which nothing can be "no difference".
        optimizer: A function from a learning rate to an optimizer, or the name of an optimizer.
            Defaults to `keras.optimizers.Adam`.
        learning_rate: The lowest and the highest learning rate that trials try, on a logarithmic
            scale; the first trial has their geometric mean. A number fixes it. Defaults to
            `(1e-4, 1e-2)`.
        blocks: `[n]`, equal for test rows that belong together, as for `analysis.compare`.
        workers: The number of processes that train at the same time. Contenders, tasks and data
            are sent to them by cloudpickle: with more than one, let the three datasets be
            functions. Defaults to 1: this process trains.
        seed: Trials have this seed, the final trainings the following ones.
        steps_per_epoch: The number of batches per epoch, for endless training data.
        callbacks: Callbacks of Keras, copied for each training.
        overwrite: Whether to forget the study that `directory` holds.
        verbose: Whether to print a line per training, with the time left.

    Returns:
        A `Study`: `print` shows its table, `report` writes a page, `best` returns a network.

    Raises:
        TypeError: If contenders, data or optimizer have a wrong type; with `workers` above 1, if
            something cannot be sent to another process.
        ValueError: If a contender has other outputs than the tasks, the data do not fit the tasks,
            validation and test are the same rows, a metric has no direction, or the folder holds
            another study.
        RuntimeError: If all trainings of the baseline failed, or another process runs this study.

    Example:
        >>> import numpy as np
        >>> import tensorflow as tf
        >>> import keras_mtl as mtl
        >>> rng = np.random.default_rng(0)
        >>> def make(rows):
        ...     x = rng.normal(size=(rows, 8)).astype("float32")
        ...     y = {"click": (x[:, 0] > 0).astype("float32"), "price": x[:, :2].sum(1)}
        ...     return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> def shared(tasks):
        ...     return mtl.architectures.hard_sharing(keras.Input((8,)), tasks, shared=(16,))
        >>> study = mtl.studies.compare(
        ...     {"hard sharing": shared}, tasks, make(128), make(64), make(64),
        ...     budget=mtl.studies.Budget(trials=1, epochs=1, seeds=1), verbose=False,
        ... )
        >>> study.comparisons["hard sharing"].row("click").num_rows
        64

    Reference:
        Equal budgets, and variance over seeds and rows: Bouthillier et al. 2021, arXiv:2103.03098.
        Papers and popular code often tune the proposed method alone, or choose the epoch on test
        rows; then a comparison says who had more trials. The score of the best of N trials is too
        good by chance (by 1.5 standard deviations for N = 10), so that no score of a trial is part
        of a verdict here.
    """
    tasks = check_tasks(tasks)
    budget = Budget() if budget is None else budget
    if not isinstance(budget, Budget):
        raise TypeError(f"budget is {budget!r}; expected studies.Budget(trials, epochs, seeds).")
    watched = {metric.task: metric for metric in read_metrics(tasks, metrics, 0.0, None)}
    read = read_contenders(contenders, tasks, baseline)
    data = StudyData(train, validation, test, steps_per_epoch)
    fingerprints = data.check(tasks)
    networks = read_networks(read, tasks, read_optimizer(optimizer), read_rates(learning_rate))
    networks = _on_rows(networks, data, tasks, baseline_rows)
    plan = Plan(
        tasks,
        tuple(networks),
        data,
        fingerprints,
        budget,
        watched,
        margin=margin,
        blocks=blocks,
        seed=read_whole(seed, "seed is", low=0),
        workers=read_whole(workers, "workers is"),
        callbacks=tuple(callbacks),
        verbose=verbose,
    )
    made_by = next(iter(contenders)) if baseline is None else baseline
    settings = describe_study(plan, optimizer, made_by)
    folder = open_folder(directory, settings, overwrite)
    with only_user(folder):
        return carry_out(plan, folder, settings)


def _on_rows(
    networks: Sequence[Network], data: StudyData, tasks: Sequence[Task], rows: str
) -> list[Network]:
    """Returns the networks, those of the baseline with the rows on which they are trained.

    Raises:
        ValueError: If `rows` is neither `"all"` nor `"labeled"`, or a task has no labeled row.
    """
    if rows not in ("all", "labeled"):
        raise ValueError(f"baseline_rows is {rows!r}; expected 'all' or 'labeled'.")
    if rows == "all":
        return list(networks)
    counted = count_labeled(data, tasks)
    return [
        dataclasses.replace(network, labeled=counted[network.names[0]])
        if network.contender == BASELINE
        else network
        for network in networks
    ]
