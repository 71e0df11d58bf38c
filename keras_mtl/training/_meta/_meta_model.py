"""`MetaModel`: learning to adapt, inside `fit`."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import loss_tracker
from keras_mtl._tasks import Task, check_tasks, compile_args
from keras_mtl._types import Optimizer, Tensor
from keras_mtl.balancers import Balancer
from keras_mtl.data._elements._numbers import read_number, read_whole
from keras_mtl.training._epochs import with_first
from keras_mtl.training._meta._adapt import adapted_network
from keras_mtl.training._meta._check_place import check_place
from keras_mtl.training._meta._inner_loop import InnerLoop
from keras_mtl.training._meta._inner_variables import inner_variables
from keras_mtl.training._meta._outer_rule import OuterRule
from keras_mtl.training._meta._read_episodes import read_episodes, rows_of
from keras_mtl.training._optimizer import spare_from_decay

RULES = ("maml", "first_order", "anil", "reptile", "meta_sgd")


@keras.saving.register_keras_serializable(package="keras_mtl")
class MetaModel(keras.Model):
    """Trains a network such that a few steps on a few labels adapt it to a new source of data.

    Sources are alike: users, shops, sites, characters of an alphabet. An episode is one of them,
    with labels to adapt on (the support) and labels to judge by (the query). In each step of
    training, for the episodes i of the batch, with L the sum of the tasks' losses times
    `Task.weight`:

        t_0 = theta,  t_{j+1} = t_j - a grad L_support,i(t_j),  j < n           (inner steps)
        theta <- theta - b grad_theta mean_i L_query,i(t_n)                     (outer step)

    | `rule` | |
    |---|---|
    | `"maml"` | as above, with gradients through the inner steps |
    | `"first_order"` | inner gradients count as constants: the gradient of L_query at t_n |
    | `"anil"` | MAML whose inner steps change the last layer of each task alone |
    | `"reptile"` | outer gradient theta - mean_i t_n; it reads no query |
    | `"meta_sgd"` | MAML with a learned rate for each entry |

    Choose it for many sources with few labels each, and new ones that come with 1 to 20. With few
    sources and many labels it loses to joint training: train one network on all of them, and
    `training.adapt` it. Begin with `"maml"`: the table says what it gives on sinusoids of which
    ten points are known (mean squared error over 300 new ones, after n steps of adaptation;
    `benchmarks/regimes.py meta`):

    | rule | 0 | 1 | 5 | 10 |
    |---|---|---|---|---|
    | `"maml"` | 3.16 ± .15 | .39 ± .02 | .15 ± .01 | .12 ± .01 |
    | `"first_order"` | 3.84 ± .18 | .47 ± .03 | .17 ± .02 | .12 ± .01 |
    | `"anil"` | 3.14 ± .15 | .99 ± .05 | .57 ± .07 | 2.03 ± .97 |
    | `"meta_sgd"` | 3.16 ± .15 | .24 ± .02 | diverges | |
    | `"reptile"`, 5 steps | 3.16 ± .15 | .43 ± .03 | .17 ± .01 | .15 ± .01 |
    | joint training | 3.17 ± .15 | 2.09 ± .08 | 1.68 ± .08 | 1.49 ± .09 |

    The first order and Reptile had Adam at 2e-3, the others at 1e-3. They need more training: at
    1e-3 the first order ends at .60 after one step, and Reptile with its own falling step at .61.

    So more steps than in training may spoil it, where rates are learned or heads alone adapt. It
    needs many sources (`benchmarks/regimes.py shots`; five new classes, one example of each, after
    1 and 10 steps): with 136 characters of Omniglot to train on it gives .66 and .70 for new ones,
    a joint classifier with a new head .32 and .27. With five digits in four turns it gives .45 and
    .62 for the other five, the joint classifier .35 and .56, no training .40 and .66.

    Batch normalization takes the statistics of the support, in the query too: those of the query
    would let an answer depend on the other questions (popular code does so, and gains). Dropout
    draws once per episode, in the inner steps. Regularizers count in the outer step. Inner steps
    are plain gradient steps (in the code of Reptile: Adam). Networks in `mixed_float16` are
    refused, since nothing scales the losses of inner steps, and so are several replicas and
    `jit_compile=True`: XLA compiles anew for each batch what is vectorized over episodes.

    Data come from `data.episodes`: `x` and, by task, `y` and `w` are dicts of "support" and
    "query", with a leading axis of episodes. The logs hold `loss` (of the queries, after
    adaptation), `<task>_loss`, and the metrics of the tasks on the queries. `predict` and export
    use the network as it is; `adapt` returns an adapted one.

    Args:
        network: A functional `keras.Model` with one named output per task.
        tasks: The tasks.
        rule: See above. Defaults to `"maml"`.
        inner_steps: n. Defaults to `1`.
        inner_learning_rate: a; with Meta-SGD, where its learned rates begin. Defaults to `0.01`.
        inner_layers: Patterns of the names of the layers that inner steps change, such as
            `"*_logits|shared_1"`. Defaults to `None`: all, with ANIL the last layer of each task.
        balancer: A `LossBalancer` or `GramianBalancer` that weighs the K query losses, means over
            the episodes, in the outer step; the losses of inner steps keep `Task.weight`. All
            variables count as shared, since by the inner steps each head moves the trunk of all
            tasks: a Gramian takes K backward passes. Defaults to `None`: the plain sum.
        name: Optional name.

    Raises:
        ValueError: If an argument does not fit, a pattern matches no layer, outputs are not the
            tasks, or the policy, the strategy or the balancer is refused: one that merges
            gradients, needs a second batch, samples, losses after the update or metrics by name,
            or one beside Reptile, which reads no query.

    Example:
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.regression("dose")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(8,))
        >>> rng = np.random.default_rng(0)
        >>> sites = [
        ...     (rng.normal(size=(12, 3)).astype("float32"), {"dose": rng.normal(size=12)})
        ...     for _ in range(5)
        ... ]
        >>> episodes = mtl.data.episodes(sites, shots=4, queries=6, episodes=2, seed=0)
        >>> model = MetaModel(network, tasks, inner_steps=2)
        >>> model.compile("adam")
        >>> history = model.fit(episodes, steps_per_epoch=3, verbose=0)
        >>> adapted = model.adapt(*sites[0])

    Reference:
        MAML and its first order: Finn et al., arXiv:1703.03400. ANIL: Raghu et al.,
        arXiv:1909.09157. Reptile: Nichol et al., arXiv:1803.02999. Meta-SGD: Li et al.,
        arXiv:1707.09835.
    """

    def __init__(
        self,
        network: keras.Model,
        tasks: Sequence[Task],
        *,
        rule: str = "maml",
        inner_steps: int = 1,
        inner_learning_rate: float = 0.01,
        inner_layers: str | None = None,
        balancer: Balancer | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if rule not in RULES:
            raise ValueError(f"rule must be one of {RULES}; received {rule!r}.")
        self._tasks = check_tasks(tasks)
        self.network, self.rule, self.inner_layers = network, rule, inner_layers
        self.inner_steps = read_whole(inner_steps, "inner_steps is")
        self.inner_learning_rate = read_number(
            inner_learning_rate, "inner_learning_rate is", low=0, above=True
        )
        layers = "heads" if rule == "anil" and inner_layers is None else inner_layers
        changed = inner_variables(network, self._tasks, layers)
        self._inner = InnerLoop(network, self._tasks, changed, rule in ("maml", "anil", "meta_sgd"))
        self._rates = [
            self.add_weight(
                name=f"rate_{i}",
                shape=variable.shape,
                initializer=keras.initializers.Constant(self.inner_learning_rate),
            )
            for i, variable in enumerate(changed if rule == "meta_sgd" else ())
        ]
        if balancer is not None and rule == "reptile":
            raise ValueError("rule='reptile' reads no query, whose losses a balancer would weigh.")
        self.balancer = balancer
        self._outer = None if balancer is None else OuterRule(balancer, self._tasks)
        self._weight_means = [] if self._outer is None else self._outer.metrics
        # Named as Keras names metrics, which sorts a dict of outputs.
        self.output_names = sorted(task.name for task in self._tasks)
        self._means = {
            task.name: keras.metrics.Mean(name=f"{task.name}_loss") for task in self._tasks
        }
        check_place(network)
        self.built = True

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks."""
        return self._tasks

    def compile(
        self,
        optimizer: Optimizer = "adam",
        *,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = False,
    ) -> None:
        """Configures the outer step; losses and metrics come from the tasks.

        Args:
            optimizer: Any Keras optimizer, or the name of one; its learning rate is b. For Reptile
                as in the paper, `keras.optimizers.SGD(1.0)` with a falling rate.
            run_eagerly, steps_per_execution: As in Keras.
            jit_compile: `False`.

        Raises:
            ValueError: If `jit_compile` is `True`.
        """
        if jit_compile is True:
            raise ValueError(
                "jit_compile=True: XLA would compile the episodes, which are vectorized, anew for "
                "each batch. Use jit_compile=False."
            )
        metrics = compile_args(self._tasks)["weighted_metrics"]
        super().compile(
            optimizer,
            weighted_metrics={name: of_task[:-1] for name, of_task in metrics.items()},
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=False,
        )
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        if self.balancer is not None:
            learned = self.balancer.trainable_variables
            spare_from_decay(self.optimizer, self.trainable_variables, learned)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns the arguments of `compile`."""
        config = super().get_compile_config()
        names = ("optimizer", "run_eagerly", "steps_per_execution")
        return {name: config[name] for name in names}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with the arguments of `get_compile_config`."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def call(self, inputs: Tensor, training: bool | None = None) -> Any:
        """Returns the predictions of the network as it is."""
        return self.network(inputs, training=training)

    def fit(self, *args: Any, shuffle: bool = False, **kwargs: Any) -> Any:
        """Trains as Keras does; episodes come in the order of the dataset."""
        if self._outer is not None:
            first = self._outer.ends_epochs()
            kwargs["callbacks"] = with_first(first, kwargs.get("callbacks"), self)
        return super().fit(*args, shuffle=shuffle, **kwargs)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """Takes one outer step."""
        episodes = read_episodes(data, self._tasks)
        variables = self.trainable_variables
        with tf.GradientTape(persistent=self._outer is not None) as tape:
            goals, losses, counts, outputs, after = self._adapted(episodes)
            of_layers = [tf.cast(loss, tf.float32) for loss in self.network.losses]
            of_tasks = tf.reduce_mean(goals, axis=0)  # [K] with a balancer
            goal = of_tasks if self._outer else tf.add_n([of_tasks, *of_layers])
        if self._outer is not None:
            labeled = tf.reduce_any(counts > 0.0, axis=0)
            goal, gradients = self._outer.gradients(tape, goal, of_layers, labeled, variables)
        elif self.rule == "reptile":
            variables = self._inner.variables
            gradients = [
                tf.convert_to_tensor(v) - tf.reduce_mean(a, axis=0)
                for v, a in zip(variables, after, strict=True)
            ]
        else:
            gradients = tape.gradient(
                goal, [v.value for v in variables], unconnected_gradients="zero"
            )
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._inner.advance_seeds()
        return self._logs(episodes[1], goal, losses, counts, outputs)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Adapts to each episode of a batch, and judges by its query."""
        episodes = read_episodes(data, self._tasks)
        goals, losses, counts, outputs, _ = self._adapted(episodes)
        goal = tf.reduce_sum(tf.reduce_mean(goals, axis=0))
        logs = self._logs(episodes[1], goal, losses, counts, outputs)
        return {k: v for k, v in logs.items() if k not in {m.name for m in self._weight_means}}

    def _adapted(self, episodes: Any) -> Any:
        """Adapts to each episode.

        Returns:
            Of the queries the goal `[episodes]`, or `[episodes, K]` with a balancer, the losses
            and the numbers of labels `[episodes, K]`, and predictions by task; and the adapted
            values of each episode.
        """
        inner = self._inner
        start = [tf.convert_to_tensor(v) for v in inner.variables]
        rates = [tf.convert_to_tensor(rate) for rate in self._rates]
        rates = rates or [self.inner_learning_rate] * len(start)

        def episode(rows: Any) -> Any:
            support, query, index = rows
            values, state = inner.adapt(start, rates, support, self.inner_steps, index)
            outputs = inner.predict(query[0], state)
            losses = inner.task_losses(query[1], outputs, query[2])
            if self._outer is None:
                goal = tf.add_n([tf.reduce_sum(loss) for loss in losses.of_replica])
            else:
                goal = tf.concat([tf.reshape(loss, (-1,)) for loss in losses.of_replica], 0)
            return goal, losses.unweighted, losses.counts, outputs, values

        support, query = episodes
        num_episodes = tf.shape(keras.tree.flatten(support[0])[0])[0]
        return tf.vectorized_map(episode, (support, query, tf.range(num_episodes)))

    def _logs(
        self,
        query: Any,
        goal: Tensor,
        losses: Tensor,
        counts: Tensor,
        outputs: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        sizes = [len(task.loss_names) for task in self._tasks]
        by_task = zip(self._means.values(), tf.split(losses, sizes, 1), strict=True)
        for (mean, loss), count in zip(by_task, tf.split(counts, sizes, 1), strict=True):
            mean.update_state(
                tf.reduce_sum(loss, 1), tf.cast(tf.reduce_any(count > 0.0, 1), tf.float32)
            )
        num_episodes = tf.cast(tf.shape(losses)[0], tf.float32)
        loss_tracker(self).update_state(goal, sample_weight=num_episodes)
        x, y, w, predictions = (rows_of(part) for part in (*query, outputs))
        logs: dict[str, Tensor] = self.compute_metrics(x, y, predictions, w)
        return logs

    def adapt(self, x: Any, y: Any, w: Any = None, *, steps: int | None = None) -> keras.Model:
        """Returns a copy of the network that is adapted to a new source, as training does it.

        Args:
            x: Inputs of the labeled rows.
            y: Their labels by task.
            w: Their sample weights by task, 0 where there is no label. Defaults to `None`.
            steps: The number of steps. Defaults to `None`: `inner_steps`. More than in training
                may diverge at the same rate, most of all under ANIL.
        """
        rates = self._rates or [self.inner_learning_rate] * len(self._inner.variables)
        steps = self.inner_steps if steps is None else read_whole(steps, "steps is")
        return adapted_network(self.network, self._inner, (x, y, w), rates, steps)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal model, with the network inside."""
        serialize = keras.saving.serialize_keras_object
        return {
            "network": serialize(self.network),
            "tasks": [serialize(task) for task in self._tasks],
            "rule": self.rule,
            "inner_steps": self.inner_steps,
            "inner_learning_rate": self.inner_learning_rate,
            "inner_layers": self.inner_layers,
            "balancer": None if self.balancer is None else serialize(self.balancer),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MetaModel":
        """Makes the model that `get_config` described."""
        config = dict(config)
        for key in ("network", "tasks", "balancer"):
            if config.get(key) is not None:
                config[key] = keras.saving.deserialize_keras_object(config[key], custom_objects)
        return cls(**config)
