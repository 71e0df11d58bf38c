"""One step of training and of evaluation.

    forward -> losses -> gradients -> rule -> update -> logs

`TrainStep` belongs to one `BalancedModel`, which calls it on each replica. The methods below
`train` are the parts of the step, in their order.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._replicas import (
    Replicas,
    current_replicas,
    losses_counted_by_step,
    num_replicas,
    several_workers,
)
from keras_mtl._tasks import describe_loss
from keras_mtl._types import Tensor
from keras_mtl.balancers import LossBalancer
from keras_mtl.training._active_flags import ActiveFlags
from keras_mtl.training._batch import Batch
from keras_mtl.training._dropout_seeds import seeds_by_replica
from keras_mtl.training._extra_forward import State, forward_with, state_before, with_preference
from keras_mtl.training._gradients import (
    Backward,
    LossScale,
    find_kernels,
    loss_scale_of,
    make_backward,
)
from keras_mtl.training._layer_losses import LayerLosses
from keras_mtl.training._log_keys import of_training_alone
from keras_mtl.training._logs import Losses, MetricGroup, StepLogs, TaskLosses
from keras_mtl.training._moving_averages import MovingAverages
from keras_mtl.training._resting import make_rest
from keras_mtl.training._state import StepState
from keras_mtl.training._step_penalties import (
    StepPenalties,
    added,
    gradients_of_penalty,
    with_penalties,
)
from keras_mtl.training._steps import (
    Reuse,
    Step,
    StepResult,
    after_update,
    balanced_losses,
    choose_step,
    deal_out,
    evaluated_scalar,
    step_at_parameters,
    step_at_representation,
    step_by_inner_steps,
    step_by_look_ahead,
    step_by_losses,
    step_by_samples,
)
from keras_mtl.training._trained_variables import TrainedVariables
from keras_mtl.training._update import update_variables


class TrainStep:
    """Trains a model on a batch, or evaluates it, and keeps the logs.

    Args:
        model: The `BalancedModel`; its network, tasks, balancer and options are read at each
            trace, since they may have changed.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._build_balancer()
        self.task_losses = TaskLosses(model.tasks)
        num_losses = sum(self.task_losses.sizes)
        self.state = StepState(model, num_losses)
        self.flags = ActiveFlags(model, model.tasks)
        self.logs = StepLogs(model)
        self._names = [task.name for task in model.tasks]
        self.penalties = StepPenalties(model.penalties, self._names)

    def _build_balancer(self) -> None:
        balancer = self.model.balancer
        self.trained = TrainedVariables(balancer, self.model.at)
        # State per entry of the gradients needs the shapes of the shared variables.
        self.trained.lay_out(self.model.frontier)
        if balancer.built:
            return
        names = [name for task in self.model.tasks for name in task.loss_names]
        balancer.bind(names)
        balancer.read_tasks([describe_loss(t) for t in self.model.tasks for _ in t.loss_names])
        balancer.build(len(names))

    def make_variables(self) -> None:
        """Makes the variables of the optimizer and of the metrics that `compile` was given.

        Keras makes them in the first step, and TensorFlow traces a step that makes variables
        twice: that is half of the time until training begins (docs/keras_notes.md, pain 65).
        """
        variables = self.model.trainable_variables
        self.trained.remember(variables)
        if not self.model.optimizer.built:
            self.model.optimizer.build(variables)
        self.logs.make_variables()

    @property
    def metric_groups(self) -> list[MetricGroup]:
        """The metrics that are counted for many tasks at once."""
        return self.logs.metric_groups

    def broken_batches(self) -> list[int]:
        """Returns in how many batches of evaluation each loss was not finite, `[K]`."""
        counts = keras.ops.convert_to_numpy(self.logs.means.broken_batches())
        return [int(count) // num_replicas() for count in counts]

    def mark(self, logs: dict[str, Tensor], evaluating: bool) -> dict[str, Tensor]:
        """Returns the logs so far, with the values of broken tasks marked."""
        if evaluating:
            return self.logs.mark_evaluated(logs)
        return self.logs.mark_loss(logs)

    @losses_counted_by_step()
    def train(self, data: Any) -> dict[str, Tensor]:
        """Takes one balanced step; returns the logs."""
        model, balancer, replicas = self.model, self.model.balancer, current_replicas()
        self.trained.check(model.trainable_variables)
        balancer.static_shapes = bool(model.jit_compile)
        data, second = data if balancer.needs.second_batch else (data, None)
        batch = Batch(data)
        if balancer.needs.preference:
            batch.x = with_preference(model.network, batch.x, balancer.draw_preference())
        if model.prepare is not None:
            batch = self._prepare(batch)

        averages = MovingAverages(model.network)
        layer_losses = LayerLosses(model, replicas)
        # Persistent, since several backward passes are taken from it.
        with tf.GradientTape(persistent=True) as tape:
            with seeds_by_replica(model.network):
                is_repeated = balancer.needs.losses_after or balancer.needs.inner_steps
                before = state_before(model) if is_repeated else []
                with layer_losses.collected():
                    predictions, forward = model(batch.x, training=True, split=True)
            of_layers, layer_penalty = layer_losses.share(batch.size)
            averages.keep_finite(replicas)
            losses = self.task_losses(batch.y, predictions, batch.sample_weight)
            samples = self._losses_of_samples(batch, predictions, replicas)
            of_rules = self.penalties(predictions, batch, replicas)
            loss_scale = loss_scale_of(model.optimizer, replicas)
            scaled = [None if p is None else loss_scale.scaled(p) for p in (of_layers, of_rules)]

        def backward(of_replica: list[Tensor]) -> Backward:
            return make_backward(tape, model.frontier, forward, of_replica, loss_scale, replicas)

        of_penalties = [gradients_of_penalty(model, tape, penalty) for penalty in scaled]
        of_penalty = added(*of_penalties)
        step = self._make_step(backward, losses, loss_scale, frozenset(of_penalty))
        run = self._choose(backward, samples, batch, second, before)
        absent = self.task_losses.may_be_absent(predictions, batch.sample_weight)
        rest = make_rest(model, step, self, absent, of_penalties[1], averages)
        result = run(step)
        if model.modulate is not None:
            result = model.modulate.changed(result, predictions, batch, step, self.state.seed(1))
        result = update_variables(model, result, of_penalty, step, rest)
        if balancer.needs.losses_after:
            self._look_back(forward_with(model, batch.x, before), batch, step.seen(step.asked))
        self._count(result, losses, step.reuse.due)
        scalar = tf.reduce_sum(step.losses) if result.scalar is None else result.scalar
        scalar = with_penalties(scalar, layer_penalty, of_rules, replicas)
        # A step in which nothing is finite has no loss. One without any label has the loss 0.
        counts = tf.reduce_any(step.active) | ~tf.reduce_any(step.labeled)
        counts &= tf.math.is_finite(scalar)
        return _by_worker(self.logs.add(batch, predictions, scalar, counts))

    def evaluate(self, data: Any) -> dict[str, Tensor]:
        """Evaluates one batch; returns the logs, without weights."""
        model, balancer, replicas = self.model, self.model.balancer, current_replicas()
        balancer.static_shapes = bool(model.jit_compile)
        batch = Batch(data)
        if balancer.needs.preference:
            batch.x = with_preference(model.network, batch.x, self.even_preference)
        layer_losses = LayerLosses(model, replicas)
        with layer_losses.collected():
            predictions = model(batch.x, training=False)
        _, layer_penalty = layer_losses.share(batch.size)
        losses = self.task_losses(batch.y, predictions, batch.sample_weight)
        self.logs.means.add_evaluated(losses.unweighted, losses.counts)
        of_rules = self.penalties(predictions, batch, replicas)
        scalar = self._evaluated_scalar(losses)
        scalar = with_penalties(scalar, layer_penalty, of_rules, replicas)
        logs = self.logs.mark_evaluated(self.logs.add(batch, predictions, scalar, True))
        hidden = {*of_training_alone(model)}
        return _by_worker({name: v for name, v in logs.items() if name not in hidden})

    def _evaluated_scalar(self, losses: Losses) -> Tensor:
        """Returns `loss` as a step of training has it, without a trace in the balancer's state.

        It is infinite where a labeled task's loss is not finite.
        """
        weighted, labeled, active = self._active(losses)
        used = tf.where(active, weighted, tf.zeros_like(weighted))
        if isinstance(self.model.balancer, LossBalancer):
            balanced = balanced_losses(self.model.tasks, self.model.unbalanced)
            scalar = evaluated_scalar(self.model.balancer, used, active, balanced)
        else:
            scalar = tf.reduce_sum(used)
        return tf.where(tf.reduce_all(active | ~labeled), scalar, float("inf"))

    @property
    def even_preference(self) -> Tensor:
        """The preference `[K]` with which a network that takes one is evaluated."""
        num_losses = len(self.task_losses.weights)
        return tf.fill((num_losses,), 1.0 / num_losses)

    def _losses_of_samples(
        self, batch: Batch, predictions: dict[str, Tensor], replicas: Replicas
    ) -> list[Losses]:
        """Returns the losses of independent samples of the batch, for rules that need some."""
        num_samples = self.model.balancer.needs.samples
        if num_samples == 1:
            return []
        dealt = deal_out(batch.sample_weight, self._names, batch, num_samples, replicas)
        return [self.task_losses(batch.y, predictions, weights) for weights in dealt]

    def _active(self, losses: Losses) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the weighted losses, who has labels, and who of them is finite; all `[K]`."""
        task_weights = self.task_losses.weights
        weighted = losses.unweighted * task_weights
        # Not `> 0`: sample weights that are NaN have a sum that is no number.
        some = ~(losses.counts <= 0.0)
        # A task of weight 0 is measured, not balanced: a min-norm rule would take its gradient, 0.
        labeled = self.flags.active(some & (task_weights > 0.0))
        return weighted, labeled, labeled & tf.math.is_finite(weighted)

    def _make_step(
        self,
        backward: Callable[[list[Tensor]], Backward],
        losses: Losses,
        loss_scale: LossScale,
        penalized: frozenset[int],
    ) -> Step:
        model = self.model
        weighted, labeled, active = self._active(losses)
        return Step(
            balancer=model.balancer,
            backward=backward(losses.of_replica),
            # No product with 0, which would keep a NaN (docs/keras_notes.md, F5).
            losses=tf.where(active, weighted, tf.zeros_like(weighted)),
            labeled=labeled,
            active=active,
            reuse=Reuse(
                self.state.stored_weights, self.state.due(model.every), loss_scale.replicas
            ),
            loss_scale=loss_scale,
            replicas=loss_scale.replicas,
            rescale_weights=model.rescale_weights,
            scale_towers=model.scale_towers,
            penalized=penalized,
            kernels=find_kernels(model.network),
            flag_of=self.flags.of_variable,
            balanced=balanced_losses(model.tasks, model.unbalanced),
            sketch=model.sketch,
        )

    def _choose(
        self,
        backward: Callable[[list[Tensor]], Backward],
        samples: Sequence[Losses],
        batch: Batch,
        second: Any,
        before: State,
    ) -> Callable[[Step], StepResult]:
        """Returns the kind of step that the rule needs, with what it takes beside a `Step`."""
        match choose_step(self.model.balancer, self.model.at):
            case "losses":
                return step_by_losses
            case "representation":
                return step_at_representation
            case "parameters":
                return step_at_parameters
            case "samples":
                in_all = tf.reduce_all([sample.counts > 0.0 for sample in samples], axis=0)
                of_samples = [backward(sample.of_replica) for sample in samples]
                return functools.partial(step_by_samples, samples=of_samples, in_all=in_all)
            case "look_ahead":
                return functools.partial(
                    step_by_look_ahead,
                    losses_at=self._losses_at(Batch(second)),
                    learning_rate=tf.cast(self.model.optimizer.learning_rate, tf.float32),
                )
            case "inner_steps":
                return functools.partial(
                    step_by_inner_steps,
                    losses_at=self._losses_at(Batch(second)),
                    losses_again=self._losses_at(batch, before),  # with the masks of this step
                    task_weights=self.task_losses.weights,
                )

    def _prepare(self, batch: Batch) -> Batch:
        """Returns the batch that the hook makes of a batch."""
        model = self.model

        def forward(inputs: Any) -> dict[str, Tensor]:
            # Draws of dropout and moving averages stay inside.
            with keras.StatelessScope(), seeds_by_replica(model.network):
                outputs: dict[str, Tensor] = model(inputs, training=True)
            return outputs

        return batch.prepared(model.prepare, forward, self._names, self.state.seed(0))

    def _losses_at(self, batch: Batch, state: State = ()) -> Callable[[State], Losses]:
        """Returns the losses on a batch, as a function of values for some variables."""

        def losses(values: State) -> Losses:
            predictions = forward_with(self.model, batch.x, [*state, *values])
            return self.task_losses(batch.y, predictions, batch.sample_weight)

        return losses

    def _look_back(self, predictions: dict[str, Tensor], batch: Batch, asked: Tensor) -> None:
        """Hands the balancer the losses after the update."""
        losses = self.task_losses(batch.y, predictions, batch.sample_weight)
        weighted = losses.unweighted * self.task_losses.weights
        after_update(self.model.balancer, weighted, asked & tf.math.is_finite(weighted))

    def _count(self, result: StepResult, losses: Losses, due: Tensor | None) -> None:
        took_part = self.flags.active((losses.counts > 0.0) & ~result.broken)
        self.state.update(result, took_part, due)
        self.logs.means.update_state(losses.unweighted, losses.counts, result.weights, took_part)


def _by_worker(logs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the logs, of several workers with an axis.

    Keras averages the logs of workers along an axis that scalars do not have
    (docs/keras_notes.md, F9; keras#20585).
    """
    return {key: value[None] for key, value in logs.items()} if several_workers() else logs
