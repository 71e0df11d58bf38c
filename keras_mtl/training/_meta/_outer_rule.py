"""A balancer of the outer step, which weighs the losses of the queries."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task, describe_loss
from keras_mtl._types import Tensor
from keras_mtl.balancers import Balancer, GramianBalancer, LossBalancer, Needs
from keras_mtl.training._gradients import gramian
from keras_mtl.training._steps._active_tasks import on_active_tasks, scalarizing, weighing


class OuterRule:
    """Weighs the query losses of the tasks, means over the episodes, by a balancer.

    Every variable counts as shared: by the inner steps, the head of one task changes the trunk on
    which the queries of all others are judged.

    Args:
        balancer: A balancer of losses or of Gramians that needs nothing else of a step.
        tasks: The tasks.

    Raises:
        ValueError: If the balancer needs more, or fewer tasks than there have to be.
    """

    def __init__(self, balancer: Balancer, tasks: Sequence[Task]) -> None:
        self.balancer = balancer
        self._sizes = [len(task.loss_names) for task in tasks]
        names = [name for task in tasks for name in task.loss_names]
        _check(balancer, names)
        if not balancer.built:
            balancer.bind(names)
            balancer.read_tasks([describe_loss(task) for task in tasks for _ in task.loss_names])
            balancer.build(len(names))
        self._means = [keras.metrics.Mean(name=f"{task.name}_weight") for task in tasks]

    def gradients(
        self,
        tape: tf.GradientTape,
        losses: Tensor,
        penalties: Sequence[Tensor],
        labeled: Tensor,
        variables: Sequence[Any],
    ) -> tuple[Tensor, list[Tensor]]:
        """Returns the loss, and the gradients of the variables.

        Args:
            tape: A persistent tape that has seen the losses.
            losses: The query losses `[K]`, times `Task.weight`.
            penalties: Regularizers, which are not balanced.
            labeled: Which of them have a label in some episode, bool `[K]`.
            variables: What the outer step trains, of the balancer too.
        """
        balancer = self.balancer
        active = labeled & tf.math.is_finite(losses)
        known = tf.where(active, losses, tf.zeros_like(losses))
        of_balancer = {id(v): i for i, v in enumerate(balancer.trainable_variables)}
        sources = [v.value for v in variables if id(v) not in of_balancer]
        ones = [tf.ones_like(penalty) for penalty in penalties]
        if isinstance(balancer, LossBalancer):
            rule = scalarizing(balancer, tf.stop_gradient(known))
            scalar, weights, *learned = on_active_tasks(balancer, active, rule)
            of_sources = _pass(tape, [losses, *penalties], sources, [weights, *ones])
        else:
            scalar, learned = tf.reduce_sum(known), []
            rows = _rows(tape, losses, sources)
            finite = tf.reduce_all(tf.math.is_finite(tf.concat(rows, 1)), axis=1)  # [K]
            active &= finite
            rows = [tf.where(finite[:, None], row, tf.zeros_like(row)) for row in rows]
            rule = weighing(balancer, gramian(rows), known, int(losses.shape[0]))
            (weights,) = on_active_tasks(balancer, active, rule)
            of_sources = [
                tf.reshape(tf.linalg.matvec(row, weights, transpose_a=True), tf.shape(source))
                for row, source in zip(rows, sources, strict=True)
            ]
            if penalties:
                of_penalties = _pass(tape, penalties, sources, ones)
                of_sources = [a + b for a, b in zip(of_sources, of_penalties, strict=True)]
        self._count(weights)
        network = iter(of_sources)
        gradients = [
            learned[of_balancer[id(v)]] if id(v) in of_balancer else next(network)
            for v in variables
        ]
        return tf.add_n([scalar, *penalties]), gradients

    def _count(self, weights: Tensor) -> None:
        for mean, of_task in zip(self._means, tf.split(weights, self._sizes), strict=True):
            mean.update_state(tf.reduce_mean(of_task))

    def ends_epochs(self) -> keras.callbacks.Callback:
        """Returns a callback that hands the logs of each epoch to the balancer."""
        return keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self.balancer.end_epoch(logs)
        )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The mean weight of each task."""
        return self._means


def _pass(
    tape: tf.GradientTape,
    targets: Sequence[Tensor],
    sources: Sequence[Any],
    seeds: Sequence[Tensor],
) -> list[Tensor]:
    """Returns dense gradients of some targets, each times its seed."""
    gradients = tape.gradient(
        list(targets), list(sources), output_gradients=seeds, unconnected_gradients="zero"
    )
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def _rows(tape: tf.GradientTape, losses: Tensor, sources: Sequence[Any]) -> list[Tensor]:
    """Returns the gradients of each loss, `[K, entries]` for each source."""
    seeds = tf.unstack(tf.eye(int(losses.shape[0])))
    by_loss = [_pass(tape, [losses], sources, [seed]) for seed in seeds]
    return [
        tf.stack([tf.reshape(gradient, (-1,)) for gradient in of_source])
        for of_source in zip(*by_loss, strict=True)
    ]


def _check(balancer: Any, names: Sequence[str]) -> None:
    """Checks that a balancer needs nothing but losses or a Gramian.

    Raises:
        ValueError: If it does.
    """
    kind = type(balancer).__name__
    if not isinstance(balancer, LossBalancer | GramianBalancer):
        raise ValueError(
            "balancer must be a LossBalancer or a GramianBalancer, which weigh the losses of the "
            f"queries, such as keras_mtl.balancers.MGDA(); received {kind}, which does not weigh."
        )
    needs = balancer.needs
    if needs not in (Needs(), Needs(lengths_only=True)):
        raise ValueError(
            f"{kind} wants {needs}, which the outer step has not. Use a balancer that reads the "
            "losses of the queries or their Gramian alone, such as keras_mtl.balancers.MGDA()."
        )
    if type(balancer).log_keys is not Balancer.log_keys:
        raise ValueError(
            f"{kind} reads metrics by name from the logs of each epoch, which MetaModel does not "
            "check for it. Use a balancer that reads the losses of the queries or their Gramian."
        )
    if len(names) < balancer.min_tasks:
        raise ValueError(
            f"{kind} needs at least {balancer.min_tasks} tasks; received {list(names)}. Leave "
            "balancer out."
        )
