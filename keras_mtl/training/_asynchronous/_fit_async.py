"""`fit_async`: training by workers that do not wait for each other."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.data import check_dataset
from keras_mtl.training._asynchronous._rules import check_rule
from keras_mtl.training._asynchronous._worker_step import WorkerStep
from keras_mtl.training._backup._restoring import restore, values_of
from keras_mtl.training._backup._state_file import (
    SavedState,
    check_fit,
    read_state,
    variables_of,
    write_state,
)
from keras_mtl.training._balanced_model import BalancedModel


@dataclasses.dataclass(frozen=True)
class Asynchronous:
    """Holds how an asynchronous training went.

    Attributes:
        history: Logs by name, an entry for each epoch.
        steps: The number of updates since training began.
        staleness: For each worker, by a number that it has drawn, the staleness of each of its
            steps in the last epoch: how many updates came between its reading of the variables and
            its own update. A worker that was lost and came back has another number.

    Example:
        >>> result = Asynchronous({"val_loss": [0.4]}, steps=3, staleness={7: [0, 1], 9: [0]})
        >>> round(result.stable_rate(curvature=2.0), 3)  # with a delay of 1
        0.5
    """

    history: Mapping[str, Sequence[float]]
    steps: int
    staleness: Mapping[int, Sequence[int]]

    def stable_rate(self, curvature: float) -> float:
        """Returns the learning rate below which plain descent with this delay is stable.

        Delayed descent needs `rate * L < 2 sin(pi / (2 (2 tau + 1)))`, whatever the rule, with the
        largest curvature L and the largest staleness tau of the last epoch.

        Args:
            curvature: L, the largest eigenvalue of the Hessian of the weighted loss.
        """
        delay = max((max(taus) for taus in self.staleness.values()), default=0)
        return float(2 * np.sin(np.pi / (2 * (2 * delay + 1))) / curvature)


def fit_async(
    model: BalancedModel,
    make_dataset: Callable[[], tf.data.Dataset],
    *,
    steps_per_epoch: int,
    epochs: int = 1,
    validation_data: Any = None,
    max_staleness: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Asynchronous:
    """Trains a model by workers that do not wait for each other, inside `parameter_servers`.

    The chief hands out steps, and a worker that gets one reads the variables from the servers,
    computes the gradients of one batch by the rule, and sends the update. Meanwhile others have
    sent theirs: `staleness` says how many. A worker that dies gets no more steps and its step is
    taken by another one; when it is back, it goes on. If a server dies, training ends with an error
    and begins again from `checkpoint`.

    Choose it where workers differ much in speed or come and go, or where tables are larger than
    the memory of a machine (`layers.ShardedEmbedding`). For everything else `training.cluster` is
    better: its steps are those of one machine with a large batch, and no rule loses its meaning. A
    rule without state sees the Gramian of one worker's batch; the state of a rule loses updates,
    which is warned of; rules that compare losses before and after a step, or look ahead, are
    refused.

    Args:
        model: A compiled `BalancedModel`, built in the scope of `parameter_servers`.
        make_dataset: Returns the batched training data. Each worker calls it for itself: shuffle
            without a seed, so that they read different rows. It is repeated without end. Python
            functions of the chief (`from_generator`, `py_function`) do not reach the workers.
        steps_per_epoch: The number of updates of an epoch, of all workers together.
        epochs: The number of epochs.
        validation_data: A dataset that the chief evaluates after each epoch.
        max_staleness: The largest staleness. With it the chief hands out `max_staleness + 1` steps
            at a time and waits for all of them, so that no step is staler; 0 is one step after the
            other. Defaults to `None`, no bound.
        checkpoint: A folder for the state after each epoch, from which training goes on.

    Returns:
        The logs, the number of updates and the staleness. Logs of training are running means that
        may miss some steps, since metrics are counted on the servers too: judge by `val_` logs.

    Raises:
        ValueError: If the model was not built in the scope, the data or the rule do not fit, or
            the checkpoint is of another model.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
        >>> model.compile("sgd")
        >>> mtl.training.fit_async(model, lambda: None, steps_per_epoch=10)
        Traceback (most recent call last):
        ...
        ValueError: the model was not built in the scope of training.parameter_servers(). ...
    """
    strategy = model.distribute_strategy
    _check(model, strategy, steps_per_epoch, epochs, max_staleness)
    check_rule(model.balancer, model.network)
    check_dataset(make_dataset(), model.tasks)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    step = WorkerStep(model, coordinator, make_dataset)
    first = _restored(model, step, checkpoint, steps_per_epoch)
    history: dict[str, list[float]] = {}
    staleness: dict[int, list[int]] = {}
    for epoch in range(first, epochs):
        model.reset_metrics()
        staleness = step.run(steps_per_epoch, max_staleness)
        # Overlapping steps lose some of them (docs/keras_notes.md, 144; keras#18668).
        model.optimizer.iterations.assign(step.count)
        logs = {name: float(value) for name, value in model.get_metrics_result().items()}
        if validation_data is not None:
            logs |= {f"val_{name}": value for name, value in _evaluate(model, validation_data)}
        taus = [tau for of_worker in staleness.values() for tau in of_worker]
        logs |= {"staleness": float(np.mean(taus)), "max_staleness": float(max(taus))}
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        model.balancer.end_epoch(logs)
        if checkpoint is not None:
            write_state(Path(checkpoint), SavedState(epoch + 1, 0, values_of(model), {}, []))
    return Asynchronous(history, step.count, staleness)


def _evaluate(model: BalancedModel, dataset: tf.data.Dataset) -> list[tuple[str, float]]:
    """Evaluates on the chief: Keras would ask for a dataset of the workers."""
    model.reset_metrics()
    step = tf.function(
        lambda batch: model.distribute_strategy.run(model.test_step, args=(batch,)),
        autograph=False,
    )
    logs: dict[str, Any] = {}
    for batch in dataset:
        logs = step(batch)
    return [(name, float(value)) for name, value in logs.items()]


def _check(
    model: BalancedModel, strategy: Any, steps: int, epochs: int, max_staleness: int | None
) -> None:
    if not isinstance(strategy, tf.distribute.ParameterServerStrategy):
        raise ValueError(
            "the model was not built in the scope of training.parameter_servers(). Build and "
            "compile it there; without servers, call model.fit."
        )
    if not model.compiled:
        raise ValueError("compile the model in the scope before fit_async.")
    if steps < 1 or epochs < 1 or (max_staleness is not None and max_staleness < 0):
        raise ValueError(
            f"steps_per_epoch is {steps}, epochs {epochs}, max_staleness {max_staleness}; "
            "expected 1 or more, 1 or more, and None or 0 or more."
        )


def _restored(model: keras.Model, step: WorkerStep, checkpoint: Any, steps_per_epoch: int) -> int:
    """Restores the state of a checkpoint; returns the epoch at which training goes on."""
    state = None if checkpoint is None else read_state(Path(checkpoint))
    if state is None:
        return 0
    kept, metrics = variables_of(model)
    check_fit(state, [*kept, *metrics], Path(checkpoint))
    restore(model, state.arrays)
    step.begin_at(state.epoch * steps_per_epoch)
    return state.epoch
