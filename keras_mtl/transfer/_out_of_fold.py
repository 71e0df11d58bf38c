"""Predictions for rows, of networks that have not seen them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._check_arrays import check_arrays
from keras_mtl.training import BalancedModel
from keras_mtl.training._quiet_tracing import quiet_tracing
from keras_mtl.transfer._folds import count_rows, read_folds, take_rows

Train = Callable[[Any, dict[str, Any], dict[str, Any] | None], keras.Model]
_Arrays = dict[str, npt.NDArray[Any]]


def out_of_fold(
    train: Train,
    x: Any,
    y: Mapping[str, Any],
    sample_weight: Mapping[str, Any] | None = None,
    *,
    tasks: Sequence[Task],
    folds: int | Any = 5,
    groups: Any = None,
) -> _Arrays:
    """Predicts each row with a network that was trained on the rows of the other folds.

    With rows cut into F folds, and the network n_f = train(rows that are not in fold f),

        prediction of row i = n_{f(i)}(x_i)       f(i): the fold of row i

    so that no network predicts a row whose label it has seen. It is the `cross_val_predict` of
    scikit-learn for several tasks and any inputs.

    Choose it where the predictions of one stage are inputs of the next one (stacking), or the
    labels of a student (`with_teachers`): a network has learned a part of its own rows by heart,
    so that its predictions for them are surer than those it will make when it is served, and the
    next stage learns to trust them too much. It costs F trainings. Not worth it where the first
    stage is nearly as good on new rows. (Prices from predicted kinds, 400 rows; error with seen
    rows, out of fold, and without kinds: .782, .717, .725 where a kind is hard to tell, and .332,
    .342, .560 where it is not; `examples/27_out_of_fold.py`, one seed.)

    Build the network inside of `train`: one that is built outside goes on learning from fold to
    fold, and is refused. Layers that are frozen may be shared, such as a pretrained trunk; nothing
    that was fitted to the labels of these rows should be.

    The stage that is served is trained on all rows, `first = train(x, y, sample_weight)`. Name
    the inputs of the second network after the tasks, and join both as Keras does:

        inputs = keras.Input((20,), name="x")
        answers = first(inputs)
        network = keras.Model(inputs, {**answers, **second({"x": inputs, **answers})})

    `architectures.cascade` under `callbacks.Stages` is one graph, whose second stage reads the
    predictions for the rows that the first one was trained on.

    Args:
        train: A function `(x, y, sample_weight) -> network` that builds a network, trains it and
            returns it. It is called once for each fold.
        x: Inputs as arrays, in the structure that the network takes.
        y: Labels by task. A row may lack labels (a weight of 0); it gets predictions too.
        sample_weight: Weights by task, or `None`, which `train` then receives.
        tasks: The tasks of the labels, which are predicted.
        folds: The number of folds; a splitter of scikit-learn, such as `StratifiedKFold(5)` for
            `y` of one task of classes; or pairs `(training rows, other rows)`, of which the other
            rows are all rows, once each. A number shuffles the rows (`KFold(folds, shuffle=True,
            random_state=0)`); with `groups` it stands for `GroupKFold(folds)`. Defaults to `5`.
        groups: The group of each row, `[rows]`, such as the user or the day: all rows of a group
            are in one fold, since other rows of a group tell much of its labels. Defaults to
            `None`.

    Returns:
        Predictions `[rows, ...]` by task, in the order of the rows.

    Raises:
        TypeError: If `train` returns no Keras model with an output for each task.
        ValueError: If labels do not fit the tasks or the rows; there are fewer rows or groups than
            folds; a row is in no fold or in several; a group is on both sides; the training rows
            of a fold have no label of a task; `train` returns a network that shares trainable
            variables with that of another fold; or a prediction is not finite.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click")]
        >>> def train(x, y, sample_weight):
        ...     network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        ...     network.compile("adam", **mtl.compile_args(tasks))
        ...     network.fit(x, y, sample_weight=sample_weight, verbose=0)
        ...     return network
        >>> x, y = np.random.default_rng(0).normal(size=(9, 4)), {"click": np.arange(9) % 2}
        >>> predictions = out_of_fold(train, x, y, tasks=tasks, folds=3)
        >>> predictions["click"].shape
        (9, 1)

    Reference:
        Wolpert, Stacked generalization, Neural Networks 5(2), 1992. scikit-learn does not shuffle
        by default; here a number does, since rows are often sorted.
    """
    tasks = check_tasks(tasks)
    check_arrays(x, y, sample_weight, tasks)
    labels = {name: np.asarray(values) for name, values in y.items()}
    weights = None
    if sample_weight is not None:
        weights = {name: np.asarray(values) for name, values in sample_weight.items()}
    rows = count_rows(x)
    parts = read_folds(folds, labels, groups, rows)
    _check_labels(parts, weights, tasks)
    predictions: _Arrays = {}
    seen: list[tuple[str, Any]] = []  # the variables themselves: an id may be used again
    for number, (outside, fold) in enumerate(parts):
        subject = f"out_of_fold: fold {number} of {len(parts)}"
        network = train(*(take_rows(arrays, outside) for arrays in (x, labels, weights)))
        network = _network_of(network)
        seen += _new_variables(network, seen, subject)
        outputs = _predict(network, take_rows(x, fold), tasks, subject)
        for name, values in outputs.items():
            if name not in predictions:
                predictions[name] = np.empty((rows, *values.shape[1:]), values.dtype)
            predictions[name][fold] = values
    return predictions


def _check_labels(
    parts: Sequence[tuple[Any, Any]], weights: _Arrays | None, tasks: Sequence[Task]
) -> None:
    """Checks that each network has labels of all tasks to learn from."""
    if weights is None:
        return
    for task in tasks:
        labeled = (weights[task.name].reshape(len(weights[task.name]), -1) != 0).any(axis=1)
        for number, (outside, _) in enumerate(parts):
            if not labeled[outside].any():
                raise ValueError(
                    f"out_of_fold: fold {number}: no row outside of it has a label of task "
                    f"{task.name!r} ({int(labeled.sum())} of {len(labeled)} rows have one). Take "
                    "folds in which its labels are spread, or leave the task out."
                )


def _network_of(network: Any) -> keras.Model:
    """Returns the network that was trained, without the model that trained it."""
    if isinstance(network, BalancedModel):
        network = network.network
    if not isinstance(network, keras.Model):
        raise TypeError(
            "out_of_fold: train must return the keras.Model that it has trained; received "
            f"{network!r}. End it in `return network`."
        )
    return network


def _new_variables(
    network: keras.Model, seen: list[tuple[str, Any]], subject: str
) -> list[tuple[str, Any]]:
    """Returns the trainable variables of a network, which no other fold may have trained."""
    former = {id(variable): name for name, variable in seen}
    for variable in network.trainable_variables:
        if id(variable) in former:
            raise ValueError(
                f"{subject}: train returned a network with the variable {variable.path!r} of "
                f"{former[id(variable)]}, which has seen the labels of this fold. Build the "
                "network inside of train, or freeze what is shared."
            )
    name = subject.removeprefix("out_of_fold: ").partition(" of")[0]
    return [(name, variable) for variable in network.trainable_variables]


def _predict(network: keras.Model, x: Any, tasks: Sequence[Task], subject: str) -> _Arrays:
    """Returns the finite predictions of a network for rows, by task."""
    with quiet_tracing():
        outputs = network.predict(x, batch_size=256, verbose=0)
    names = [task.name for task in tasks]
    if not isinstance(outputs, Mapping) or {*names} - {*outputs}:
        received = sorted(outputs) if isinstance(outputs, Mapping) else type(outputs).__name__
        raise TypeError(
            f"{subject}: the network must predict a dict with an output for each of the tasks "
            f"{names}; it predicts {received}."
        )
    for name in names:
        if not np.isfinite(outputs[name]).all():
            raise ValueError(
                f"{subject}: the network predicts numbers for task {name!r} that are not finite. "
                "Its training has failed, or inputs are NaN."
            )
    return {name: np.asarray(outputs[name]) for name in names}
