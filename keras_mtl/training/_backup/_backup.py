"""`Backup`: a training that goes on where it was ended."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl.training._backup._agreement import NONE, WRONG, check_agreement
from keras_mtl.training._backup._known_order import draw_seed
from keras_mtl.training._backup._memories import check_memories, memories_of, remind
from keras_mtl.training._backup._position import (
    DATA_END,
    SkippingFunction,
    at_epoch,
    repeatable,
    steps_per_call,
)
from keras_mtl.training._backup._restoring import restore, values_of
from keras_mtl.training._backup._state_file import (
    NAME,
    SavedState,
    check_fit,
    digest,
    read_state,
    variables_of,
    write_state,
)
from keras_mtl.training._backup._termination import STATUS, Termination
from keras_mtl.training._backup._workers import Workers

_SECONDS_BETWEEN_LOOKS = 1.0
_MOST_STEPS_BETWEEN_LOOKS = 1_000


class Backup(keras.callbacks.Callback):
    """Saves the state of a training, and lets the same script go on where it was ended.

    Pass it to `BalancedModel.fit`, and start the same script again, on one process or on all
    workers of a cluster: `fit` reads the file in the folder and goes on behind the last step that
    is in it. The end is that of a training that was never interrupted: bit for bit in one process,
    to about 1e-7 over several workers, whose sums are not always taken in one order. Weights, the
    optimizer, the state of the balancer, seeds of dropout, metrics in mid-epoch, the memory of
    Keras's `EarlyStopping`, `ReduceLROnPlateau` and `ModelCheckpoint`, and the position in the data
    are restored; that of `KeepBest` is in its own file. A training that was over is not repeated;
    remove the folder to begin anew.

    - **SIGTERM**, which schedulers send before they take a machine away, saves and ends the process
      with status 143, after a second or one step; if one worker receives it, all of them leave.
    - **SIGKILL, a crash or a hang** of a worker ends the others within seconds, and all of them
      start again: `python -m keras_mtl.launch --restarts 3`, or whatever has started them.

    The first worker writes one file under a temporary name and moves it, and all workers read it:
    the folder is shared. Before the first step they agree on epoch, step and a digest of all
    weights; if they differ, training is refused (Keras's `BackupAndRestore`, with a folder for each
    worker, would train on with different weights).

    The position in the data is found by drawing: batches of the epoch that are done are read
    again, and not trained; with `steps_per_epoch`, those of all epochs. Data are

    - a `tf.data.Dataset` that yields the same batches in each run (`shuffle(..., seed=...)` does,
      if `keras.utils.set_random_seed` receives the same number in each of them, or is not called);
    - arrays; the order of each epoch is drawn from a seed that the file keeps, and differs from the
      one that `fit` draws without a backup;
    - a `keras.utils.PyDataset` whose batch of a number is the same in each run; Keras's order of
      the numbers is drawn in the same way. What it does at the ends of epochs is repeated;
    - no generators, which cannot be read again.

    Choose it for every training that takes longer than you would like to repeat. For models that
    are no `BalancedModel`, Keras's `BackupAndRestore` saves at ends of epochs.

    Args:
        folder: Where the file is written, `backup.npz`; on several workers, a shared folder.
        every: The number of steps between two saves within an epoch. It is saved at the end of
            each epoch in any case. Defaults to `None`, never within an epoch.
        description: What else has to be the same when training goes on, and on all workers, such
            as `{"data": "2026-11", "code": "1.4"}`. The tasks, the kind of balancer and its options
            in the model are compared in any case. Defaults to nothing.

    Attributes:
        resumed: The epoch (from 0) and the step at which training went on; `None` if it began anew.

    Raises:
        ValueError: In `fit`, before the first step, if the file is of another model, the
            description differs, workers differ, or the data have no position.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import tensorflow as tf
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> def train(folder, epochs):
        ...     network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        ...     model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
        ...     model.compile("adam")
        ...     x, y = np.ones((8, 4)), {"click": np.arange(8) % 2, "price": np.zeros(8)}
        ...     data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(8, seed=0).batch(4)
        ...     backup = mtl.training.Backup(folder, every=100)
        ...     model.fit(data, epochs=epochs, callbacks=[backup], verbose=0)
        ...     return backup.resumed
        >>> folder = tempfile.mkdtemp()
        >>> train(folder, epochs=2), train(folder, epochs=3)
        (None, (2, 0))
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        every: int | None = None,
        description: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        if every is not None and (not isinstance(every, int) or every < 1):
            raise ValueError(f"every is {every!r}; expected a number of steps, 1 or more, or None.")
        self.folder = Path(folder)
        self.every = every
        self.description = {str(name): str(text) for name, text in (description or {}).items()}
        self.resumed: tuple[int, int] | None = None
        self._termination = Termination()
        self._state: SavedState | None = None
        self._facts: dict[str, str] = {}
        self._listed: Sequence[Any] = ()
        self._skipping: SkippingFunction | None = None
        self._steps_before = self._seed = 0
        self._epoch = self._saved_step = 0

    @contextlib.contextmanager
    def attached(
        self, model: keras.Model, callbacks: Sequence[Any], arguments: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Restores the model, and yields the arguments with which `fit` goes on.

        Args:
            model: A compiled `BalancedModel`.
            callbacks: All callbacks.
            arguments: Of `fit`; the data have been checked.
        """
        check_memories(callbacks)
        self._listed, self._workers = callbacks, Workers(model.distribute_strategy)
        self._facts = {**self.description, **facts_of(model)}
        state = self._state = self._agreed_state(model)
        self.resumed = None if state is None else (state.epoch, state.step)
        epoch = arguments["initial_epoch"] if state is None else state.epoch
        self._seed = self._agreed_seed(state)
        arguments = {**repeatable(arguments, self._seed, epoch), "initial_epoch": epoch}
        x, steps = arguments["x"], arguments["steps_per_epoch"]
        self._steps_before = 0
        if state is not None:
            restore(model, state.arrays)
            if steps is None:
                x = at_epoch(x, state.epoch, state.step, model.distribute_strategy)
            else:
                self._steps_before = state.epoch * steps
        try:
            with self._termination.watched():
                yield {**arguments, "x": x}
        finally:
            self._listed = ()
            if self._skipping is not None:
                model.train_function, self._skipping = self._skipping.function, None

    def _agreed_seed(self, state: SavedState | None) -> int:
        """Returns the seed of the orders that are drawn here, the same on all workers."""
        seed = draw_seed()  # also if another one is kept: the draws after it stay as they were
        return int(self._workers.gather([seed])[0, 0]) if state is None else state.seed

    def _agreed_state(self, model: keras.Model) -> SavedState | None:
        """Returns the state that all workers have read; `None` if there is none."""
        state, refusal = None, None
        kept, metrics = variables_of(model)
        try:
            state = read_state(self.folder)
            if state is not None:
                check_fit(state, [*kept, *metrics], self.folder)
                check_facts(state, self._facts, self.folder)
        except ValueError as error:
            refusal = error
        # No values of metrics, which only all workers together can read.
        arrays = list(map(np.asarray, kept)) if state is None else state.arrays[: len(kept)]
        weights = digest(*arrays, sorted(self._facts.items()))
        epoch = WRONG if refusal else NONE if state is None else state.epoch
        step = 0 if state is None else state.step
        try:
            check_agreement(self._workers, epoch, step, weights, self.folder, NAME)
        except ValueError as error:
            raise error from refusal
        if refusal:
            raise refusal
        return state

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Gives other callbacks their memory back, and prepares to skip batches.

        Raises:
            ValueError: If the model is no `BalancedModel`.
        """
        if not self._listed:
            raise ValueError(
                f"training.Backup works in BalancedModel.fit; received a "
                f"{type(self.model).__name__}. Keras's BackupAndRestore saves such models."
            )
        self._until_look, self._steps, self._looked = 1, 0, time.monotonic()
        state = self._state
        if state is None:
            return
        remind(self._listed, state.callbacks)
        size = steps_per_call(self.model)
        calls = -(-state.step // size)
        function = SkippingFunction(self.model.train_function, calls, self._steps_before, size)
        self.model.train_function = self._skipping = function

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Gives metrics the values that they had in mid-epoch."""
        self._epoch, self._saved_step = epoch, 0
        state = self._state
        if state is not None and state.step and state.epoch == epoch:
            restore(self.model, state.arrays)
            self._saved_step = state.step

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Saves every so many steps, and leaves if a worker was asked to."""
        step = batch + 1
        if self._skipping is not None and step <= self._saved_step:
            return
        due = self.every and step // self.every > self._saved_step // self.every
        asked = self._is_asked()
        if due or asked:
            self._save(self._epoch, step)
        if asked:
            self._leave()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Saves the state, which is that of the beginning of the next epoch."""
        if self._skipping is not None and self._skipping.skips:
            raise ValueError(DATA_END)
        self._save(epoch + 1, 0)
        self._until_look = 1
        if self._is_asked():
            self._leave()

    def _save(self, epoch: int, step: int) -> None:
        arrays = values_of(self.model)  # all workers: metrics are added up over them
        if self._workers.is_chief:
            memories = memories_of(self._listed)
            write_state(
                self.folder, SavedState(epoch, step, arrays, self._facts, memories, self._seed)
            )
        self._saved_step = step

    def _is_asked(self) -> bool:
        """Returns whether any worker was asked to leave.

        Workers look together about once per second, after a number of steps on which they agree.
        """
        if not self._workers.several:
            return self._termination.asked
        self._until_look, self._steps = self._until_look - 1, self._steps + 1
        if self._until_look > 0:
            return False
        seconds = (time.monotonic() - self._looked) / self._steps
        rows = self._workers.gather([int(self._termination.asked), int(1e6 * seconds)])
        steps = int(1e6 * _SECONDS_BETWEEN_LOOKS / max(1, int(rows[:, 1].max())))
        self._until_look = min(max(1, steps), _MOST_STEPS_BETWEEN_LOOKS)
        self._steps, self._looked = 0, time.monotonic()
        return bool(rows[:, 0].any())

    def _leave(self) -> None:
        self._workers.gather([0])  # the file is there before any worker ends
        raise SystemExit(STATUS)


def facts_of(model: Any) -> dict[str, str]:
    """Returns what a backup says of a `BalancedModel` beside its variables."""
    return {
        "tasks": ", ".join(task.name for task in model.tasks),
        "balancer": type(model.balancer).__name__,
        "at": model.at,
        "every": str(model.every),
    }


def check_facts(state: SavedState, facts: Mapping[str, str], folder: Path) -> None:
    """Checks that a state is of the same training.

    Raises:
        ValueError: If a fact differs.
    """
    names = {**state.description, **facts}
    different = [name for name in names if state.description.get(name) != facts.get(name)]
    if different:
        listed = "; ".join(
            f"{name}: {state.description.get(name)!r} is saved, {facts.get(name)!r} is here"
            for name in different
        )
        raise ValueError(
            f"the backup in {folder} is of another training. {listed}. Remove the folder to train "
            "from the beginning."
        )
