"""`fit_async`: training by workers that do not wait for each other."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.data import check_dataset
from keras_mtl.training._asynchronous._callbacks import EpochCallbacks, split_callbacks
from keras_mtl.training._asynchronous._rules import check_absent, check_rule
from keras_mtl.training._asynchronous._worker_step import WorkerStep, check_staleness
from keras_mtl.training._backup._backup import Backup, check_facts, facts_of
from keras_mtl.training._backup._memories import memories_of, remind
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
    callbacks: Sequence[keras.callbacks.Callback] = (),
    staleness: int | str | None = None,
) -> Asynchronous:
    """Trains a model by workers that do not wait for each other, inside `parameter_servers`.

    The chief hands out steps, and a worker that gets one reads the variables from the servers,
    computes the gradients of one batch by the rule, and sends the update. Meanwhile others have
    sent theirs: `staleness` says how many. A worker that dies gets no more steps and its step is
    taken by another one, again if its update had arrived and its answer had not, so that `steps`,
    which counts updates, may be larger by one for each; when it is back, it goes on. If a server
    dies, training ends with an error and begins again from `training.Backup`.

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
        callbacks: Callbacks of Keras that look at epochs and evaluations, such as `EarlyStopping`,
            `ReduceLROnPlateau` and `ModelCheckpoint`, and at most one `training.Backup` (without
            `every`), from whose file training goes on behind the last whole epoch.
        staleness: What is done about steps that others have overtaken. A number is the largest
            staleness: the chief hands out `staleness + 1` steps at a time and waits for all of
            them, so that no step is staler; 0 is one step after the other. `"scale"` divides the
            learning rate of a step by 1 + its staleness, and nobody waits. Choose it when a rate
            that one process takes makes losses grow here. Defaults to `None`, nothing.

    Returns:
        The logs, the number of updates and the staleness. Logs of training are running means that
        may miss some steps, since metrics are counted on the servers too: judge by `val_` logs.

    Raises:
        ValueError: If the model was not built in the scope, the data or the rule do not fit, a
            callback cannot work, the backup is of another model, tasks may be absent from a
            batch and the model was not built with `absent="drift"`, or tasks or variables of it
            have been switched off (`set_active`).

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
    _check(model, strategy, steps_per_epoch, epochs, staleness)
    called, backup = split_callbacks(callbacks)
    check_rule(model.balancer, model.network)
    dataset = make_dataset()
    check_dataset(dataset, model.tasks)
    check_absent(model, dataset.element_spec)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    step = WorkerStep(model, coordinator, make_dataset, scaled=staleness == "scale")
    bound = None if staleness is None or isinstance(staleness, str) else staleness
    saved = _Saved(backup, model, called)
    first = saved.restored(step)
    listed = EpochCallbacks(called, model)
    model.stop_training = False
    listed.call("train_begin")
    saved.remind()
    history: dict[str, list[float]] = {}
    measured: dict[int, list[int]] = {}
    for epoch in range(first, epochs):
        model.reset_metrics()
        listed.call("epoch_begin", epoch)
        measured = step.run(steps_per_epoch, bound)
        # Overlapping steps lose some of them (docs/keras_notes.md, 144; keras#18668).
        model.optimizer.iterations.assign(step.count)
        logs = {name: float(value) for name, value in model.get_metrics_result().items()}
        if validation_data is not None:
            listed.call("test_begin")
            validation = _evaluate(model, validation_data)
            listed.call("test_end", validation)
            logs |= {f"val_{name}": value for name, value in validation.items()}
        taus = [tau for of_worker in measured.values() for tau in of_worker]
        logs |= {"staleness": float(np.mean(taus)), "max_staleness": float(max(taus))}
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        model.balancer.end_epoch(logs)
        listed.call("epoch_end", epoch, logs)
        saved.save(epoch + 1)
        if model.stop_training:
            break
    listed.call("train_end")
    return Asynchronous(history, step.count, measured)


def _evaluate(model: BalancedModel, dataset: tf.data.Dataset) -> dict[str, float]:
    """Evaluates on the chief: Keras would ask for a dataset of the workers."""
    model.reset_metrics()
    step = tf.function(
        lambda batch: model.distribute_strategy.run(model.test_step, args=(batch,)),
        autograph=False,
    )
    logs: dict[str, Any] = {}
    for batch in dataset:
        logs = step(batch)
    return {name: float(value) for name, value in logs.items()}


def _check(
    model: BalancedModel, strategy: Any, steps: int, epochs: int, staleness: int | str | None
) -> None:
    if not isinstance(strategy, tf.distribute.ParameterServerStrategy):
        raise ValueError(
            "the model was not built in the scope of training.parameter_servers(). Build and "
            "compile it there; without servers, call model.fit."
        )
    if not model.compiled:
        raise ValueError("compile the model in the scope before fit_async.")
    if steps < 1 or epochs < 1:
        raise ValueError(
            f"steps_per_epoch is {steps}, epochs {epochs}; expected 1 or more of both."
        )
    check_staleness(staleness, model.optimizer)


class _Saved:
    """Holds the file of a training, if there is one.

    Args:
        backup: Says where it is; `None` for none.
        model: The model.
        callbacks: Those whose memory is saved.
    """

    def __init__(
        self, backup: Backup | None, model: BalancedModel, callbacks: Sequence[Any]
    ) -> None:
        self._backup = backup
        self._model = model
        self._callbacks = callbacks
        self._memories: Sequence[Any] | None = None

    def restored(self, step: WorkerStep) -> int:
        """Restores the state in the file; returns the epoch at which training goes on."""
        if self._backup is None:
            return 0
        folder = self._backup.folder
        state = read_state(folder)
        self._backup.resumed = None if state is None else (state.epoch, 0)
        if state is None:
            return 0
        kept, metrics = variables_of(self._model)
        check_fit(state, [*kept, *metrics], folder)
        check_facts(state, self._facts, folder)
        restore(self._model, state.arrays)
        step.begin_at(int(self._model.optimizer.iterations.numpy()))
        self._memories = state.callbacks
        return state.epoch

    def remind(self) -> None:
        """Gives callbacks their memory back, after they were told that training begins."""
        if self._memories is not None:
            remind(self._callbacks, self._memories)

    def save(self, epoch: int) -> None:
        """Writes the state at the beginning of an epoch."""
        if self._backup is not None:
            arrays, memories = values_of(self._model), memories_of(self._callbacks)
            state = SavedState(epoch, 0, arrays, self._facts, memories)
            write_state(self._backup.folder, state)

    @property
    def _facts(self) -> dict[str, str]:
        """What has to be the same when training goes on."""
        return {**(self._backup.description if self._backup else {}), **facts_of(self._model)}
