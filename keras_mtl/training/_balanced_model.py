"""`BalancedModel`: balancing inside `fit`."""

import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Optimizer, Tensor
from keras_mtl.balancers import Balancer
from keras_mtl.data._inputs._guarded_network import guarded_network
from keras_mtl.training._batch_hook import BatchHook, check_hook
from keras_mtl.training._checks import (
    check_absent,
    check_balancing,
    check_distribution,
    check_needs,
    check_normalization,
    check_outputs,
    check_sketch,
    check_unbalanced,
)
from keras_mtl.training._data_checks import CheckedModel, DataChecker
from keras_mtl.training._frontier import find_frontier, split_forward
from keras_mtl.training._modulation._gradient_modulation import (
    GradientModulation,
    check_modulation,
)
from keras_mtl.training._optimizer import spare_from_decay, synchronize_statistics
from keras_mtl.training._penalty import Penalty
from keras_mtl.training._resting import check_accumulation
from keras_mtl.training._step_penalties import check_penalties
from keras_mtl.training._train_step import TrainStep


@keras.saving.register_keras_serializable(package="keras_mtl")
class BalancedModel(CheckedModel):
    """Trains a network whose task weights a balancer finds at each step, inside `fit`.

    Wraps any functional model with named outputs, also one that was built without this
    package. The graph shows which variables the tasks share: nobody declares it. (The columns
    of one task share all layers below the one at which they part, a `Dense` or `EinsumDense`
    layer, or else all layers below the last one with variables.) One forward pass and one
    backward pass through the towers give every task's gradient at the shared representation.
    The passes through the trunk below it depend on the balancer:

    - a `LossBalancer` takes one pass, as plain training does;
    - others with `at="parameters"` (the papers' definition) take one backward pass per task
      through the trunk alone;
    - with `at="representation"` they see gradients with respect to the shared representation,
      and one pass goes through the trunk: about the cost of plain training, for an upper bound
      of the papers' quantity. Choose it when the trunk is deep and `at="parameters"` too slow.

    `compile`, `fit`, `evaluate`, `predict`, callbacks, `.keras` files and `tf.distribute` work
    as with any Keras model. An export holds the network, never the balancer. On several
    replicas a step equals that of one device on the global batch: gradients are clipped after
    they are added up, `compile` sets `synchronized` on layers of batch normalization, and
    dropout draws different masks on each replica.

    The logs hold for each task `<task>_loss` (unweighted, averaged over valid labels; also as
    `<task>_mean_loss`, its name under plain Keras), its metrics and, in training,
    `<task>_weight`. `loss` is the sum of the losses times `Task.weight`, or, with a
    `LossBalancer`, the scalar that it minimizes; regularizers are added to either.

    A task without a valid label in a step takes no part in it. Neither does a task whose loss
    or gradient is not finite: it is counted, and `fit` warns of it by name. No such value is
    logged as a number. In training, a task's loss is its mean over the steps in which it was
    finite, and NaN, as `loss` then is too, if there was none in the epoch. In evaluation one
    batch is enough: the task's loss and `loss` are infinite, its metrics have their worst value
    (NaN if they have no direction), and a warning names the task. So no monitor, such as
    `EarlyStopping`, takes them for better.

    Args:
        network: A functional `keras.Model` with one named output per task.
        tasks: The tasks; their names must be exactly those of the outputs.
        balancer: From `keras_mtl.balancers`.
        at: `"parameters"` or `"representation"`. Defaults to `"parameters"`.
        every: Compute the weights at each `every`-th step and use them until the next.
            Between two such steps the cost is that of plain training. Defaults to `1`.
        rescale_weights: Whether the weights of a step are rescaled to sum to the number of
            tasks that take part in it. Defaults to `False`.
        scale_towers: Whether the variables that belong to one task get their gradient times
            the task's weight; a `LossBalancer` does that by definition. Defaults to `False`.
        absent: `"rest"`: what belongs only to tasks that take no part in a step stays as it is,
            with all that the optimizer keeps for it. `"drift"`: it gets a gradient of 0, so that
            moments, weight decay and moving averages go on moving it, as under plain Keras. On a
            mixture of two sets both were equally accurate within the spread of seeds; resting
            costs 1 to 4 % of the step of a small network (trunk of 64 units), where the data have
            sample weights, and nothing where they have none.
            Defaults to `"rest"`.
        unbalanced: Names of tasks that the balancer does not see: they take part with `Task.weight`
            alone, and their gradients are added to those that it has weighed. For an adversary
            (`architectures.shared_private(adversary=...)`), which plays against the others and is
            no task among them: `MGDA` would weigh it by nearly 0. Defaults to none.
        penalties: `training.Penalty` objects: terms of the goal that need no labels. They are not
            balanced. Defaults to none.
        prepare: A `training.BatchHook`, which changes each batch of training inside the step.
            Defaults to `None`.
        modulate: A `training.GradientModulation`, which slows down the encoder of a modality that
            is ahead of the others. Defaults to `None`.
        sketch: For `at="representation"` with 128 losses or more, such as columns with towers: m,
            the number of random sums of a gradient from which inner products are estimated, at the
            cost of gradients of m entries in place of `batch * width`. Lengths are exact, and a
            cosine c has a standard deviation of `(1 - c^2) / sqrt(m)`, 1.1 % at most with 8,192.
            The K losses' exact weights are replaced by those of the estimate: of rules that invert
            the Gramian, the direction has a cosine near `sqrt(1 - K / m)` with the exact one, of
            others a larger one; no rule's promise for each task holds within that error. Draws
            differ from step to step, and are equal on any number of replicas. Where a gradient has
            m entries or less, or one `Dense` layer spreads the columns, nothing is estimated.
            Defaults to `None`: exact.
        name: Optional name.

    Raises:
        ValueError: If the network is not functional, its outputs are not exactly the tasks, the
            balancer needs more tasks or finds nothing that they share, an option is unknown, or
            a penalty does not fit the network.

    Example:
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
        >>> model.compile("adam")
        >>> x = np.ones((8, 4), "float32")
        >>> y = {"click": np.ones(8), "price": np.zeros(8)}
        >>> history = model.fit(x, y, verbose=0)
        >>> sorted(history.history)[:4]
        ['click_auc', 'click_loss', 'click_mean_loss', 'click_weight']
    """

    def __init__(
        self,
        network: keras.Model,
        tasks: Sequence[Task],
        balancer: Balancer,
        *,
        at: str = "parameters",
        every: int = 1,
        rescale_weights: bool = False,
        scale_towers: bool = False,
        absent: str = "rest",
        unbalanced: Sequence[str] = (),
        penalties: Sequence[Penalty] = (),
        prepare: BatchHook | None = None,
        modulate: GradientModulation | None = None,
        sketch: int | None = None,
        name: str | None = None,
    ) -> None:
        tasks = check_tasks(tasks)
        output_order = check_outputs(network, tasks)
        # The network's layers cast their inputs themselves (docs/keras_notes.md, pain 88).
        super().__init__(name=name, dtype=network.dtype_policy, autocast=False)
        self._output_order = output_order  # where the network returns a list, which has no names
        self.network = network
        self.balancer = balancer
        self.at = at
        self.every = every
        self.rescale_weights = rescale_weights
        self.scale_towers = scale_towers
        self.absent = check_absent(absent)
        self.unbalanced = check_unbalanced(unbalanced, tasks, balancer)
        self._tasks = tasks
        # Keras sorts a dict of outputs, and names metrics by this list (docs/keras_notes.md, F2).
        self.output_names = sorted(task.name for task in tasks)
        self.frontier = find_frontier(network, tasks)
        check_balancing(balancer, self.frontier, tasks, at, every)
        check_needs(self)
        self.sketch = check_sketch(sketch, balancer, tasks, at)
        self.prepare = check_hook(prepare)
        if self.prepare is not None:
            self.prepare.bind(network, tasks)
            penalties = (*penalties, *self.prepare.penalties)
        self.penalties = check_penalties(penalties)
        for penalty in self.penalties:
            penalty.bind(network, tasks)
        for penalty in self.penalties:
            penalty.check_beside(self.penalties)
        self.modulate = check_modulation(modulate)
        if self.modulate is not None:
            self.modulate.bind(network, tasks)
        self._step = TrainStep(self)
        # An attribute, so that Keras resets them.
        self._kept_metrics = [*self._step.logs.metrics, *self._step.penalties.metrics]
        self._data = DataChecker(network, tasks)
        self.built = True  # otherwise Keras would call the model once, to build it

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, in the order of the balancer's weights."""
        return self._tasks

    def compile(
        self,
        optimizer: Optimizer = "adam",
        *,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        check_inputs: bool = True,
    ) -> None:
        """Configures training; losses, weights and metrics come from the tasks.

        Args:
            optimizer: Any Keras optimizer, or the name of one.
            run_eagerly, steps_per_execution, jit_compile: As in Keras.
            auto_scale_loss: As in Keras: under the `mixed_float16` policy the loss is scaled;
                statistics are those of the unscaled loss.
            check_inputs: Whether inputs with NaN or infinite numbers are refused, here and in
                `evaluate` and `predict`, unless a layer of the network fills them (as
                `data.tabular_encoder(missing=...)` does). Defaults to `True`; `False` saves a
                look at each number.

        Raises:
            ValueError: For an optimizer that does not fit the balancer; if layers have been frozen
                or thawed, so that a balancer cannot go on; on several replicas, for options that
                fail there or that Keras applies on each replica separately.
        """
        optimizer = keras.optimizers.get(optimizer)
        check_normalization(self.network, self.balancer, self.at, self.every)
        # Layers may have been frozen or thawed since (docs/keras_notes.md, pain 32).
        self.frontier = find_frontier(self.network, self._tasks)
        check_balancing(self.balancer, self.frontier, self._tasks, self.at, self.every)
        self._step.trained.lay_out(self.frontier)
        if self.modulate is not None:
            self.modulate.bind(self.network, self._tasks)
        super().compile(
            optimizer,
            weighted_metrics=self._step.logs.make_task_metrics(),
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        self._data.check_inputs = bool(check_inputs)
        self._step.make_variables()
        # A MultiOptimizer may know its optimizers only now (docs/keras_notes.md, pain 81).
        check_needs(self, optimizer)
        if self.absent == "rest":
            check_accumulation(optimizer)
        check_distribution(optimizer, jit_compile, steps_per_execution)
        spare_from_decay(optimizer, self.trainable_variables, self.balancer.trainable_variables)
        synchronize_statistics(self.network)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns the arguments of `compile`."""
        config = super().get_compile_config()
        names = ("optimizer", "run_eagerly", "steps_per_execution", "jit_compile")
        config = {name: config[name] for name in names}
        # Left out if it is the default, as in models that were saved before there was a choice.
        return config if self._data.check_inputs else {**config, "check_inputs": False}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with the arguments of `get_compile_config`."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def call(self, inputs: Tensor, training: bool | None = None, split: bool = False) -> Any:
        """Returns the predictions by task; with `split`, also the tensors where tasks part."""
        if split:
            return split_forward(self.frontier, inputs, training)
        outputs = self.network(inputs, training=training)
        if isinstance(outputs, dict):
            return outputs
        return dict(zip(self._output_order, keras.tree.flatten(outputs), strict=True))

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """Takes one balanced step; Keras calls it on each replica."""
        return self._step.train(data)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Evaluates one batch; Keras calls it on each replica."""
        return self._step.evaluate(data)

    def export(
        self,
        filepath: str | os.PathLike[str],
        *args: Any,
        check_inputs: bool = True,
        **kwargs: Any,
    ) -> None:
        """Exports the network, without the balancer, with the arguments of `keras.Model.export`.

        Keras would know no signature of this model, which it never calls by itself.
        `keras_mtl.export.saved_model` adds a signature per task, names inputs and outputs, and
        serves decisions.

        Args:
            filepath, *args, **kwargs: As in `keras.Model.export`.
            check_inputs: Whether rows that are not finite are answered with NaN, unless a layer of
                the network fills them. Defaults to `True`; `False` leaves the answer to the
                network, which may be a plausible number, as from `model.network.export`.
        """
        network = guarded_network(self.network) if check_inputs else self.network
        network.export(filepath, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal model, with the network inside."""
        # A functional subclass would lose its graph (docs/keras_notes.md, pain 31; keras#21546).
        serialize = keras.saving.serialize_keras_object
        network = serialize(self.network)
        # An optimizer of the network's own that has never run has nothing to be restored, of which
        # Keras warns when the model is loaded (docs/keras_notes.md, 123).
        if not getattr(getattr(self.network, "optimizer", None), "built", False):
            network.pop("compile_config", None)
        of_hook = () if self.prepare is None else self.prepare.penalties
        return {
            "network": network,
            "tasks": [serialize(task) for task in self._tasks],
            "balancer": serialize(self.balancer),
            "at": self.at,
            "every": self.every,
            "rescale_weights": self.rescale_weights,
            "scale_towers": self.scale_towers,
            "absent": self.absent,
            "unbalanced": list(self.unbalanced),
            "sketch": self.sketch,
            "penalties": [serialize(p) for p in self.penalties if p not in of_hook],
            "prepare": None if self.prepare is None else serialize(self.prepare),
            "modulate": None if self.modulate is None else serialize(self.modulate),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "BalancedModel":
        """Makes the model that `get_config` described."""
        config = dict(config)
        for key in ("network", "tasks", "balancer", "penalties", "prepare", "modulate"):
            if config.get(key) is not None:
                config[key] = keras.saving.deserialize_keras_object(config[key], custom_objects)
        return cls(**config)
