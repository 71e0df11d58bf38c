"""What a task is worth to another one, by some steps with it and without it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.analysis._probing._probe import Probe
from keras_mtl.analysis._probing._read_batches import Element
from keras_mtl.analysis._probing._snapshot import Snapshot
from keras_mtl.training import BalancedModel
from keras_mtl.training._optimizer import inner_optimizers
from keras_mtl.training._quiet_tracing import quiet_tracing


class Trials:
    """Takes steps of a model's training with and without a task, all of which are taken back.

    A step is the model's own, with its balancer, optimizer and hook. A task that is left out has
    weights of 0 on all rows: it has no labels, and so takes no part.

    Args:
        model: A compiled `BalancedModel` on one device.
        probe: Its network.
        main: The name of the task that is judged by its loss.
    """

    def __init__(self, model: BalancedModel, probe: Probe, main: str) -> None:
        self._model, self._probe = model, probe
        self._main = probe.names.index(main)
        self._graph: Callable[[Any], None] | None = None

    def gains(
        self, rows: Sequence[Element], judges: Sequence[Element], tasks: Sequence[str]
    ) -> np.ndarray:
        """Returns for some tasks by how much the main loss falls thanks to them, `[tasks]`.

        (L without - L with) / L without, with the mean losses L of the main task on the judges
        after a step on each batch of rows. NaN where there is no such loss.

        Args:
            rows: Batches, on each of which a step is taken.
            judges: Other batches.
            tasks: The tasks, of which each is left out in turn.
        """
        before = Snapshot(self._model)
        losses = []
        try:
            for left_out in (None, *tasks):
                for element in rows:
                    self._step(self._element(element, left_out))
                losses.append(self._loss(judges))
                before.restore()
        except BaseException:
            before.restore()
            raise
        with_all, without = losses[0], np.array(losses[1:])
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((without - with_all) / without)

    def _step(self, element: Any) -> None:
        model = self._model

        def step(element: Any) -> None:
            model.distribute_strategy.run(model.train_step, args=(element,))

        if model.run_eagerly:
            step(element)
            return
        if self._graph is None:
            self._graph = tf.function(
                step,
                autograph=False,
                reduce_retracing=True,
                jit_compile=bool(model.jit_compile),
            )
        with quiet_tracing(), model.distribute_strategy.scope():
            self._graph(element)

    def _element(self, element: Element, left_out: str | None) -> Any:
        """Returns a batch as the model takes it, with weights for all tasks."""
        x, labels, weights = element
        all_weights: dict[str, Tensor] = {}
        for name, label in labels.items():
            rows = tf.ones(tf.shape(first_of(label))[:1])
            weight = tf.convert_to_tensor(weights.get(name, rows))
            all_weights[name] = tf.zeros_like(weight) if name == left_out else weight
        return x, labels, all_weights

    def _loss(self, judges: Sequence[Element]) -> float:
        values = self._probe.values()
        losses = [float(self._probe.losses(values, judge)[self._main]) for judge in judges]
        known = [loss for loss in losses if not np.isnan(loss)]
        return float(np.mean(known)) if known else np.nan


def first_of(label: Any) -> Tensor:
    """Returns the first tensor of labels, which may be a nest."""
    return tf.nest.flatten(label)[0]


def check_trials(model: BalancedModel) -> None:
    """Checks that steps of a model can be taken on trial, exactly.

    Raises:
        ValueError: If they cannot.
    """
    replicas = model.distribute_strategy.num_replicas_in_sync
    if replicas > 1:
        raise ValueError(
            f"DropTask(by='validation') takes steps on one device, and this model has {replicas} "
            "replicas; use by='look ahead', which measures on any number of them."
        )
    if model.balancer.needs.second_batch:
        raise ValueError(
            f"DropTask(by='validation') has no balance_data for the steps of "
            f"{type(model.balancer).__name__}, which needs a second batch; use by='look ahead'."
        )
    steps = [inner.gradient_accumulation_steps for inner in inner_optimizers(model.optimizer)]
    if any(steps):
        raise ValueError(
            f"the optimizer gathers gradients over {max(s or 0 for s in steps)} steps, so that "
            "steps on trial change nothing; compile the model with the same optimizer without "
            "gradient_accumulation_steps, and larger batches."
        )
