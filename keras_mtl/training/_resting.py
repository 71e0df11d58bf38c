"""What belongs to tasks that take no part in a step stays as it is, to the last bit.

A gradient of 0 is no rest: moments of earlier steps, weight decay, regularizers and moving averages
move a variable all the same.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._keras_internals import slots_of
from keras_mtl._types import Tensor
from keras_mtl.training._active_flags import ActiveFlags
from keras_mtl.training._movers import Movers, laid_over
from keras_mtl.training._moving_averages import MovingAverages
from keras_mtl.training._optimizer import inner_optimizers
from keras_mtl.training._rarely import pack, run_rarely, unpack
from keras_mtl.training._state import StepState
from keras_mtl.training._steps import Step, StepResult


class Rest:
    """Gives what rests its values back after an update of all variables.

    Args:
        model: The `BalancedModel`.
        step: The step.
        movers: Knows whether a variable moves.
        flags: The flags of tasks and variables.
        state: Knows which tasks took part since the optimizer's last update.
        averages: The moving averages of layers.
    """

    def __init__(
        self,
        model: Any,
        step: Step,
        movers: Movers,
        flags: ActiveFlags,
        state: StepState,
        averages: MovingAverages,
    ) -> None:
        self._model, self._movers, self._flags = model, movers, flags
        self._state, self._averages, self._replicas = state, averages, step.replicas
        self._always = step.replicas.count > 1 or bool(model.jit_compile)
        # For each variable its slots behind it.
        self._groups = [
            [
                v,
                *(
                    slot
                    for inner in inner_optimizers(model.optimizer)
                    for slot in slots_of(inner, v)
                ),
            ]
            for v in model.trainable_variables
            if movers.may_rest(v)
        ]
        self._flat = [variable for group in self._groups for variable in group]

    def around(self, result: StepResult, update: Callable[[], None]) -> None:
        """Updates the variables, of which those of tasks that take no part rest.

        Args:
            result: The result of the step.
            update: Lets the optimizer take its step.
        """
        rests_absent = self._model.absent == "rest"
        active = self._flags.active(result.labeled) if rests_absent else self._flags.tasks
        self._averages.rest(self._movers.mask, active)
        steps = _accumulated_steps(self._model.optimizer)
        if steps:  # a variable moves if its tasks took part in one of the steps that are added up
            active |= self._state.remember(
                active, inner_optimizers(self._model.optimizer)[0], steps
            )
        if self._always:  # no collective in a branch, and no branch of other shapes under XLA
            before = self._values()
            update()
            self._replicas.assign(self._flat, self._kept(before, active))
            return
        rests = ~tf.reduce_all(active) | self._flags.some_frozen
        # Values are read only if they are needed: a value that is kept costs a copy.
        packed = run_rarely(rests, lambda: pack(self._values()))
        update()
        run_rarely(rests, lambda: self._restore(packed, active))

    def _values(self) -> list[Tensor]:
        return [tf.identity(variable.value) for variable in self._flat]

    def _restore(self, packed: Sequence[Tensor], active: Tensor) -> list[Tensor]:
        before = unpack(packed, [tf.convert_to_tensor(v.value) for v in self._flat])
        self._replicas.assign(self._flat, self._kept(before, active))
        return []

    def _kept(self, before: list[Tensor], active: Tensor) -> list[Tensor]:
        """Returns the values after the update, and those before it for what rests."""
        old = iter(before)
        kept = []
        for group in self._groups:
            mask = self._movers.mask(group[0], active)
            for variable in group:
                value, value_before = tf.convert_to_tensor(variable.value), next(old)
                moves = None if mask is None else laid_over(mask, group[0].shape, value.shape)
                kept.append(value if moves is None else tf.where(moves, value, value_before))
        return kept


def make_rest(
    model: Any,
    step: Step,
    parts: Any,
    absent: Collection[str],
    by_rules: Collection[int],
    averages: MovingAverages,
) -> Rest | None:
    """Returns what rests in a step of a model; `None` if everything moves in every step.

    Args:
        model: The `BalancedModel`.
        step: The step.
        parts: The `TrainStep`, with flags and state.
        absent: The tasks that may be absent from some step.
        by_rules: The variables, by `id`, that a penalty reaches which needs no labels.
        averages: The moving averages of layers.
    """
    if parts.flags.used:
        absent = [task.name for task in model.tasks]
    elif model.absent == "drift" or not absent:
        return None
    states = [s for s in model.balancer.states if s.variable.trainable and s.task_axes == 1]
    learned = frozenset(id(state.variable) for state in states)
    backward = step.backward
    flags = parts.flags
    movers = Movers(
        model.frontier, backward.users, backward.sizes, flags, absent, learned, by_rules
    )
    return Rest(model, step, movers, flags, parts.state, averages)


def _accumulated_steps(optimizer: Any) -> int:
    """Returns of how many steps an optimizer adds up the gradients; 0 if it adds up none."""
    steps = [inner.gradient_accumulation_steps or 0 for inner in inner_optimizers(optimizer)]
    return max(steps)


def check_accumulation(optimizer: Any) -> None:
    """Checks that all optimizers of a model add up gradients over the same number of steps.

    Raises:
        ValueError: If they do not: nobody could tell which tasks took part in an update.
    """
    steps = sorted(
        {inner.gradient_accumulation_steps or 0 for inner in inner_optimizers(optimizer)}
    )
    if len(steps) > 1:
        raise ValueError(
            f"the optimizers inside of {type(optimizer).__name__} have different values of "
            f"gradient_accumulation_steps, {steps}; give all of them the same number, or make the "
            "model with absent='drift'."
        )
