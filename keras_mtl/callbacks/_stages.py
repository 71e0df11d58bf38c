"""Training in stages."""

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from keras_mtl.callbacks._staging._optimizer import (
    check_rates,
    learning_rates,
    reset,
    set_learning_rates,
)
from keras_mtl.callbacks._staging._schedule import StageSchedule
from keras_mtl.callbacks._staging._stage import Stage, find_variables
from keras_mtl.training import BalancedModel


class Stages(keras.callbacks.Callback):
    """Trains a `BalancedModel` in stages, of which each has its tasks, layers and learning rate.

    Whatever a stage does not name rests to the last bit, with its moments and moving averages, and
    nothing is compiled again: flags of the model change (`BalancedModel.set_active`). Three forms
    of a cascade in which task B follows task A:

        frozen      Stage(["a"], "shared_*|a_*"), Stage(["b"], "b_*")
        staged      the same, then Stage(learning_rate=a tenth), on everything
        end to end  one stage: no callback

    Choose stages where one task feeds the next, or where a small or noisy task should not disturb
    a large one: prices that depend on a class, known in 100 of 2,000 rows, have an error of .82 of
    their variance end to end, .70 frozen and .67 staged (`examples/19_stages.py`, three seeds), and
    the class is none the worse (.795, .807, .808). Do not choose them for tasks that help each
    other from the first step on: joint training sees both. For a task in each step by turns, use
    `data.mixture(batched_sets, tasks, sampling="round_robin")`: a task that is not in a batch
    rests (`BalancedModel(absent="rest")`).

    At the begin of a stage the optimizer starts anew (`reset_optimizer`): moments of what wakes up
    are 0 while Adam's count of steps is not, so that its first steps would be up to 6.6 times too
    long. With them its count of steps begins anew, and so does a learning rate that follows a
    schedule. After the last epoch all flags are up, and the learning rate is that of before.

    A later stage reads what earlier ones predict for rows that they were trained on, surer than
    they will be of others. Where the first stage overfits, train it apart, and the second one on
    predictions of networks that have not seen the row (`transfer.out_of_fold`).

    Layers that rest run in training mode: batch normalization uses the statistics of the batch
    there, unlike one with `trainable=False`.

    Args:
        stages: The stages, in order.
        reset_optimizer: Whether the optimizer starts anew with each stage. Defaults to `True`.
        state_file: A JSON file that keeps the values which `until` watches, so that a training
            which was killed, and goes on by `keras.callbacks.BackupAndRestore` or `initial_epoch`,
            ends its stages where it would have. Put this callback before `BackupAndRestore`.
            `None`: nothing is kept, which is enough if all stages have `epochs` and no `until`.

    Attributes:
        starts: The epochs (from 0) at which the stages so far began.

    The logs get `stage`, the number of the stage from 0.

    Raises:
        ValueError: If an argument does not fit; at the begin of training, with the name of the
            stage, if a pattern matches no layer, a stage trains nothing, a rule on gradients has
            nothing that the tasks of a stage share, a task is in no stage, or the epochs of the
            stages are not those of `fit`.

    Example:
        >>> import numpy as np
        >>> import keras
        >>> import keras_mtl as mtl
        >>> from keras_mtl.callbacks import Stage, Stages
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        >>> model.compile("adam")
        >>> stages = Stages([
        ...     Stage(["click"], "shared_*|click_*", epochs=2, name="click"),
        ...     Stage(["price"], "price_*", epochs=1, name="price on a frozen trunk"),
        ...     Stage(learning_rate=1e-4, epochs=1, name="all"),
        ... ])
        >>> x, y = np.ones((8, 4)), {"click": np.arange(8) % 2, "price": np.zeros(8)}
        >>> history = model.fit(x, y, epochs=4, callbacks=[stages], verbose=0)
        >>> history.history["stage"]
        [0.0, 0.0, 1.0, 2.0]

    Reference: Dai et al., "Instance-aware Semantic Segmentation via Multi-task Network Cascades"
    (arXiv:1512.04412); Soegaard and Goldberg, "Deep multi-task learning with low level tasks
    supervised at lower layers" (ACL 2016). Successive regularization (arXiv:1611.01587) is a
    `training.Penalty` on the variables, not this callback.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        reset_optimizer: bool = True,
        state_file: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        self._stages = tuple(stages)
        if not self._stages or not all(isinstance(stage, Stage) for stage in self._stages):
            raise ValueError(f"stages must be a list of Stage objects; received {stages!r}.")
        self._labels = [
            f"stage {number} ({stage.name})" if stage.name else f"stage {number}"
            for number, stage in enumerate(self._stages)
        ]
        for stage, label in zip(self._stages, self._labels, strict=True):
            stage.check(label)
        self._reset_optimizer = reset_optimizer
        self._state_file = None if state_file is None else Path(state_file)
        self._schedule = StageSchedule(self._stages)
        self._variables: list[list[keras.Variable]] = []
        self._rates: list[float] = []
        self._begins = True

    @property
    def starts(self) -> list[int]:
        """The epochs (from 0) at which the stages so far began."""
        return self._schedule.starts[: len(self._stages)]

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Checks the stages against the model and the number of epochs."""
        model = self.model
        if not isinstance(model, BalancedModel):
            raise ValueError(
                f"Stages needs a BalancedModel; received {type(model).__name__}. With fixed "
                "weights, use BalancedModel(network, tasks, keras_mtl.balancers.Equal())."
            )
        self._begins, self._schedule = True, StageSchedule(self._stages)
        self._check_tasks([task.name for task in model.tasks])
        self._check_epochs()
        pairs = [*zip(self._stages, self._labels, strict=True)]
        if with_rate := [label for stage, label in pairs if stage.learning_rate is not None]:
            check_rates(model.optimizer, with_rate[0])
            self._rates = learning_rates(model.optimizer)
        self._variables = [find_variables(stage, model, label) for stage, label in pairs]

    def _check_tasks(self, names: list[str]) -> None:
        trained: set[str] = set()
        for stage, label in zip(self._stages, self._labels, strict=True):
            unknown = sorted({*(stage.tasks or ())} - {*names})
            if unknown:
                raise ValueError(f"{label}: {unknown} are no tasks; the model has {names}.")
            trained |= set(names if stage.tasks is None else stage.tasks)
        if missing := sorted({*names} - trained):
            raise ValueError(f"no stage of {self._labels} trains the task(s) {missing}.")

    def _check_epochs(self) -> None:
        epochs = int(self.params["epochs"])
        # A stage with `until` may end after any epoch.
        least = [1 if s.until is not None else int(s.epochs or 1) for s in self._stages]
        exact = all(stage.until is None for stage in self._stages)
        if sum(least) > epochs or (exact and sum(least) < epochs):
            by_stage = dict(zip(self._labels, least, strict=True))
            raise ValueError(
                f"the stages have {'' if exact else 'at least '}{sum(least)} epochs in all, "
                f"{by_stage}; fit was called with epochs={epochs}."
            )

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Begins a stage, or goes on with one after a killed run."""
        resumes = self._begins and epoch > 0
        if resumes:
            self._recall(epoch)
        if self._begins or self._schedule.starts[-1] == epoch:
            self._begin(fresh=self._schedule.starts[-1] == epoch)
        self._begins = False

    def _recall(self, epoch: int) -> None:
        """Counts the epochs of a run that was killed."""
        if self._state_file is not None and self._state_file.exists():
            self._schedule.read(self._state_file, epoch)
            return
        if any(stage.until is not None for stage in self._stages):
            warnings.warn(
                f"training goes on at epoch {epoch + 1}, and no state_file tells when the stages "
                "before it ended: those with until=... are taken to have had all their epochs.",
                stacklevel=2,
            )
        for before in range(epoch):
            self._schedule.add(before, math.nan if self._watched() is None else float(before))

    def _watched(self) -> str | None:
        until = self._stages[self._schedule.index].until
        return None if until is None else until[0]

    def _begin(self, fresh: bool) -> None:
        model, index = self.model, self._schedule.index
        stage = self._stages[index]
        with model.distribute_strategy.scope():
            if fresh and index and self._reset_optimizer:
                reset(model.optimizer, model.trainable_variables)
            if self._rates:
                rate, highest = stage.learning_rate, max(self._rates)
                factor = 1.0 if rate is None else rate / highest
                set_learning_rates(model.optimizer, [r * factor for r in self._rates])
            names = [task.name for task in model.tasks]
            model.set_active(names if stage.tasks is None else stage.tasks, self._variables[index])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Ends a stage, and training after the last one."""
        logs, watched = logs if logs is not None else {}, self._watched()
        if watched is not None and watched not in logs:
            raise ValueError(
                f"{self._labels[self._schedule.index]} watches {watched!r}, which is not logged; "
                f"the logs hold {sorted(logs)}."
            )
        logs["stage"] = float(self._schedule.index)
        value = math.nan if watched is None else float(logs[watched])
        if self._schedule.add(epoch, value) and self._schedule.index == len(self._stages):
            self.model.stop_training = True
        if self._state_file is not None:
            self._schedule.write(self._state_file)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Lets all tasks and variables train again, for another training."""
        model = self.model
        # The present stage has begun if it has had an epoch.
        begun = self._schedule.index + bool(self._schedule.values[-1])
        if waiting := self._labels[begun:]:
            warnings.warn(f"training ended before {waiting} began.", stacklevel=2)
        if self._rates:
            set_learning_rates(model.optimizer, self._rates)
        model.set_active([task.name for task in model.tasks], model.network.variables)
