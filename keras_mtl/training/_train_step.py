"""The training and evaluation steps of `BalancedModel`, and what they count."""

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import PreparedModel, loss_tracker
from keras_mtl._replicas import num_replicas, several_workers
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.balancers import Balancer, GradientBalancer, LossBalancer
from keras_mtl.training._dropout_seeds import own_draws
from keras_mtl.training._extra_forward import (
    State,
    forward_with,
    state_before,
    with_preference,
)
from keras_mtl.training._frontier._frontier import Frontier, named_outputs
from keras_mtl.training._gradients._backward import Backward
from keras_mtl.training._gradients._gramian import add
from keras_mtl.training._logs._metric_groups import MetricGroup, group_metrics
from keras_mtl.training._logs._task_losses import Losses, TaskLosses
from keras_mtl.training._logs._task_means import TaskMeans
from keras_mtl.training._optimizer import as_on_one_device
from keras_mtl.training._steps import _active_tasks as _rules
from keras_mtl.training._steps._at_parameters import ParameterStep
from keras_mtl.training._steps._at_representation import RepresentationStep
from keras_mtl.training._steps._base import Outcome, Step
from keras_mtl.training._steps._by_inner_steps import InnerStepsStep
from keras_mtl.training._steps._by_look_ahead import LookAheadStep
from keras_mtl.training._steps._by_losses import LossStep
from keras_mtl.training._steps._by_samples import SampledStep
from keras_mtl.training._steps._global_batch import deal_out


class BalancedSteps(PreparedModel):
    """One step of training and of evaluation; `BalancedModel` adds construction and `fit`."""

    balancer: Balancer
    at: str
    every: int
    rescale_weights: bool
    scale_towers: bool
    _tasks: tuple[Task, ...]
    _task_losses: TaskLosses
    _parts: Frontier
    _metric_groups: list[MetricGroup]
    _evaluating: bool

    def _make_state(self) -> None:
        names = [name for task in self._tasks for name in task.loss_names]
        if not self.balancer.built:
            self.balancer.bind(names)
            if isinstance(self.balancer, GradientBalancer) and self.at == "parameters":
                self.balancer.lay_out([math.prod(v.shape) for v in self._parts.shared])
            self.balancer.build(len(names))
        same = {"trainable": False, "aggregation": "only_first_replica"}
        self._step = self.add_weight(
            name="step", shape=(), dtype="int64", initializer="zeros", **same
        )
        self._last_weights = self.add_weight(
            name="task_weights", shape=(len(names),), initializer="ones", **same
        )
        self._left_out = self.add_weight(
            name="left_out", shape=(len(names),), dtype="int32", initializer="zeros", **same
        )
        self._means = TaskMeans({t.name: len(t.loss_names) for t in self._tasks})
        self._metric_groups = group_metrics(self._tasks, named_outputs(self.network))

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """One balanced step; Keras calls it on each replica."""
        self.balancer.static_shapes = bool(self.jit_compile)
        data, other = data if self.balancer.needs.second_batch else (data, None)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if self.balancer.needs.preference:
            x = with_preference(self.network, x, self.balancer.draw_preference())
        with tf.GradientTape(persistent=True) as tape:
            with own_draws(self.network):
                again = self.balancer.needs.losses_after or self.balancer.needs.inner_steps
                before = state_before(self) if again else []
                predictions, forward = self(x, training=True, split=True)
            # First: summing losses over replicas lets the next replica call the same layers.
            penalty = tf.add_n(self.losses) / num_replicas() if self.losses else None
            losses = self._task_losses(y, predictions, sample_weight)
            sampled = self._losses_of_samples(x, y, predictions, sample_weight)
            scale = self._loss_scale()
            goal = None if penalty is None else penalty * (1.0 if scale is None else scale)

        def backward(parts: list[Tensor]) -> Backward:
            return Backward(tape, self._parts, forward, parts, scale)

        due = None if self.every == 1 else tf.equal(self._step.value % self.every, 0)
        parts, raw, counts = losses
        step = self._kind_of_step(sampled, backward, data, other, before)(
            balancer=self.balancer,
            backward=backward(parts),
            losses=raw * self._task_losses.weights,
            # A task of no weight is measured, not balanced: its gradient is zero.
            labeled=(counts > 0.0) & (self._task_losses.weights > 0.0),
            stored=tf.convert_to_tensor(self._last_weights),
            due=due,
            rescale_weights=self.rescale_weights,
            scale_towers=self.scale_towers,
        )
        outcome = step.run()
        self._apply(outcome, tape, goal)
        if self.balancer.needs.losses_after:
            self._look_back(forward_with(self, x, before), y, sample_weight, step.asked())
        self._count(outcome, raw, counts, due)
        self._track_loss(x, raw, outcome.scalar, penalty)
        return self._logs(x, y, predictions, sample_weight)

    def _kind_of_step(
        self,
        sampled: list[Losses],
        backward: Callable[[list[Tensor]], Backward],
        data: Any,
        other: Any,
        before: State,
    ) -> Callable[..., Step]:
        if isinstance(self.balancer, LossBalancer):
            return LossStep
        if self.at == "representation":
            return RepresentationStep
        if sampled:
            in_all = tf.reduce_all([counts > 0.0 for _, _, counts in sampled], axis=0)
            parts = [backward(parts) for parts, _, _ in sampled]
            return functools.partial(SampledStep, parts=parts, in_all=in_all)
        if other is None:
            return ParameterStep
        rate = tf.cast(self.optimizer.learning_rate, tf.float32)
        ahead = {"losses_at": self._losses_with(other), "learning_rate": rate}
        if not self.balancer.needs.inner_steps:
            return functools.partial(LookAheadStep, **ahead)
        again = self._losses_with(data, before)  # with the masks of this step
        of_tasks = self._task_losses.weights
        return functools.partial(InnerStepsStep, losses_again=again, loss_weights=of_tasks, **ahead)

    def _losses_with(self, data: Any, state: State = ()) -> Callable[[State], Losses]:
        """The losses on a batch, as a function of values for some variables."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)

        def losses(values: State) -> Losses:
            predictions = forward_with(self, x, [*state, *values])
            return self._task_losses(y, predictions, sample_weight)

        return losses

    def _losses_of_samples(
        self, x: Any, y: Any, predictions: dict[str, Tensor], sample_weight: Any
    ) -> list[Losses]:
        parts = self.balancer.needs.samples
        if parts == 1:
            return []
        names = [task.name for task in self._tasks]
        batch_size = tf.shape(keras.tree.flatten(x)[0])[0]
        dealt = deal_out(sample_weight, names, batch_size, parts)
        return [self._task_losses(y, predictions, weights) for weights in dealt]

    def _look_back(
        self, predictions: dict[str, Tensor], y: Any, sample_weight: Any, asked: Tensor
    ) -> None:
        """Tells the balancer the losses after the update."""
        _, raw, _ = self._task_losses(y, predictions, sample_weight)
        losses = raw * self._task_losses.weights
        _rules.after_update(self.balancer, losses, asked & tf.math.is_finite(losses))

    @property
    def even_preference(self) -> Tensor:
        """What a network that takes a preference is evaluated with."""
        count = len(self._task_losses.weights)
        return tf.fill((count,), 1.0 / count)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Evaluates one batch; Keras calls it on each replica."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if self.balancer.needs.preference:
            x = with_preference(self.network, x, self.even_preference)
        predictions = self(x, training=False)
        penalty = tf.add_n(self.losses) / num_replicas() if self.losses else None
        _, raw, counts = self._task_losses(y, predictions, sample_weight)
        scalar = None
        if isinstance(self.balancer, LossBalancer):
            with self.balancer.on_tasks(None):  # evaluation leaves no trace in the state
                scalar = self.balancer.scalarize(raw * self._task_losses.weights)
        self._means.update_state(raw, counts, tf.zeros_like(raw), tf.zeros_like(raw, tf.bool))
        self._track_loss(x, raw, scalar, penalty)
        logs = self._logs(x, y, predictions, sample_weight)
        weights = {f"{task.name}_weight" for task in self._tasks}
        return {name: value for name, value in logs.items() if name not in weights}

    def _logs(self, *batch: Any) -> dict[str, Tensor]:
        for group in self._metric_groups:
            group.update_state(*batch[1:])
        logs: dict[str, Tensor] = self.compute_metrics(*batch)
        # Keras averages the logs of workers along an axis that scalars do not have.
        return {k: v[None] for k, v in logs.items()} if several_workers() else logs

    def _loss_scale(self) -> Tensor | None:
        one = tf.ones(())
        scale = self.optimizer.scale_loss(one)
        return None if scale is one else tf.cast(scale, tf.float32)

    def _apply(self, outcome: Outcome, tape: tf.GradientTape, goal: Tensor | None) -> None:
        variables = self.trainable_variables
        unreached = [v.path for v in variables if id(v) not in outcome.gradients]
        if unreached:
            raise ValueError(
                f"no loss reaches the variables {unreached}. Connect them to a task's output, or "
                "set trainable=False on their layers and compile again."
            )
        gradients = [outcome.gradients[id(variable)] for variable in variables]
        if goal is not None:
            extra = tape.gradient(goal, [variable.value for variable in variables])
            gradients = [add(g, more) for g, more in zip(gradients, extra, strict=True)]
        gradients = as_on_one_device(self.optimizer, gradients, self._loss_scale())
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def _count(self, outcome: Outcome, raw: Tensor, counts: Tensor, due: Tensor | None) -> None:
        took_part = (counts > 0.0) & ~outcome.broken
        fresh = took_part if due is None else took_part & due
        self._last_weights.assign(tf.where(fresh, outcome.weights, self._last_weights))
        self._left_out.assign_add(tf.cast(outcome.left_out, tf.int32))
        if due is not None:
            self._step.assign_add(1)
        self._means.update_state(raw, counts, outcome.weights, took_part)

    def _track_loss(
        self,
        x: Any,
        raw: Tensor,
        scalar: Tensor | None,
        penalty: Tensor | None,
    ) -> None:
        if scalar is None:
            used = tf.where(tf.math.is_finite(raw), raw, tf.zeros_like(raw))
            scalar = tf.reduce_sum(used * self._task_losses.weights)
        if penalty is not None:
            scalar += penalty * num_replicas()
        batch_size = tf.shape(keras.tree.flatten(x)[0])[0]
        loss_tracker(self).update_state(scalar, sample_weight=batch_size)

    def get_metrics_result(self) -> dict[str, Tensor]:
        """The logs so far; task weights are logged in training only."""
        logs = dict(super().get_metrics_result())
        if self._evaluating:
            for task in self._tasks:
                del logs[f"{task.name}_weight"]
        return logs

    @property
    def task_weights(self) -> dict[str, float]:
        """The weights that the balancer found last, by task, or by `<task>/<column>`."""
        return self._by_name(self._last_weights.numpy(), float)

    def _by_name(self, values: Any, kind: Any) -> dict[str, Any]:
        names = [name for task in self._tasks for name in task.loss_names]
        return {name: kind(value) for name, value in zip(names, values, strict=True)}

    @property
    def left_out(self) -> dict[str, int]:
        """In how many steps of this epoch each task was left out as not finite."""
        return self._by_name(self._left_out.numpy(), int)

    def reset_left_out(self) -> None:
        """Begins to count anew."""
        self._left_out.assign(keras.ops.zeros_like(self._left_out))
