"""Gradients of the encoders of modalities, of which the one that is ahead is slowed down."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.data._elements._numbers import read_number
from keras_mtl.training._batch import Batch
from keras_mtl.training._gradients import Gradient
from keras_mtl.training._modulation._heads import Head, find_heads
from keras_mtl.training._steps import Step, StepResult


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradientModulation(keras.layers.Layer):
    """Slows down the encoder of the modality that learns fastest (OGM-GE).

    Networks of several modalities learn the easiest one first; the error is then small, and the
    encoders of the others hardly learn. In each step, with the mean probability s_m that the head
    of modality m alone gives to the right label, the gradient g of the variables of its encoder
    becomes k_m g:

        r_m = s_m / mean_{n != m} s_n         k_m = 1 - tanh(alpha r_m) if r_m > 1, else 1

    and with `noise`, normal numbers with the standard deviation of the entries of g are added to
    each gradient of the encoders.

    The heads are tasks (outputs that read one modality alone), so that they train with the
    network. Rows without a label of a head do not count for it: mask those that lack its modality
    (`data.mask_without_modality`). The factors change what the rule gives, not what it sees.
    Regularizers and penalties keep their gradients. The logs hold k_m as `<task>_factor`.

    Choose it for late fusion under `SGD`, when the network leans on one modality, and compare on
    held-back rows: the paper has 84.0 % for 82.3 on videos (UCF-101). On halves of digits it gained
    nothing (accuracy with both .964, and .964 at alpha .3; with noise on one half .855,
    .851, and .837 at alpha .8; the head of the slower half .475, .475, .469; five seeds, sd about
    .01: `benchmarks/regimes.py modulation`). Not under Adam or other optimizers that divide by the
    length of recent gradients, which undo a factor that stays the same. Where a modality may be
    missing in use, `layers.ModalityDropout` is the stronger means, and `analysis.blending_weights`
    weighs the losses of the heads.

    Args:
        encoders: For each head, by the name of its task, the layers of its encoder: patterns of
            layer names with `|` between them. At least two.
        alpha: How much the one that is ahead is slowed down, 0 or more; 0 changes nothing. It is a
            variable, which a callback may change: `model.modulate.alpha.assign(0.0)` ends the
            modulation. Defaults to `0.3`.
        noise: Whether noise is added while `alpha` is above 0. On several replicas the gradients
            of the encoders are then sent once more. Defaults to `False`.
        name: Optional name.

    Raises:
        ValueError: If `alpha` is negative, there are fewer than two encoders; by `BalancedModel`,
            if a task is unknown or predicts no probabilities of a label per row, a pattern matches
            no layer, two encoders have a layer in common, or a head reads another encoder than
            its own.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.multiclass(name, 3) for name in ("image", "sound", "both")]
        >>> inputs = {name: keras.Input((4,), name=name) for name in ("image", "sound")}
        >>> features = {
        ...     name: keras.layers.Dense(8, name=f"{name}_encoder")(inputs[name]) for name in inputs
        ... }
        >>> features["both"] = keras.layers.Concatenate()([*features.values()])
        >>> outputs = {task.name: task.head(features[task.name], task.name) for task in tasks}
        >>> modulate = GradientModulation({"image": "image_*", "sound": "sound_encoder"})
        >>> model = mtl.BalancedModel(
        ...     keras.Model(inputs, outputs), tasks, mtl.balancers.Equal(), modulate=modulate
        ... )

    Reference:
        Peng et al., Balanced Multimodal Learning via On-the-fly Gradient Modulation, CVPR 2022,
        arXiv:2203.15332. There s_m is the softmax of the part of one last layer that belongs to
        the modality (with half of the bias), and there are two modalities; here heads are trained,
        and r_m compares with the mean of all others. The authors' code changes the kernels of
        convolutions alone; here all variables of an encoder are changed. As there, k_m falls from 1
        to 1 - tanh(alpha) where r_m passes 1.
    """

    def __init__(
        self,
        encoders: Mapping[str, str],
        *,
        alpha: float = 0.3,
        noise: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype="float32")
        if not isinstance(encoders, Mapping) or len(encoders) < 2:
            raise ValueError(
                f"{self.name!r}: encoders must be a dict of at least two heads, each with the "
                f"layers of its encoder; received {encoders!r}."
            )
        self.encoders = dict(encoders)
        for task, layers in self.encoders.items():
            if not isinstance(layers, str):
                raise ValueError(
                    f"{self.name!r}: the layers of the encoder of {task!r} must be one string, of "
                    f"patterns with '|' between them; received {layers!r}."
                )
        self.noise = bool(noise)
        first = read_number(alpha, f"{self.name!r}: alpha is", low=0)
        self.alpha = self.add_weight(
            name="alpha",
            shape=(),
            initializer=keras.initializers.Constant(first),
            trainable=False,
            aggregation="only_first_replica",
        )
        self._first_alpha = first
        # Keras logs the metrics of a layer, and resets them.
        self._means = [keras.metrics.Mean(name=name) for name in self.log_names]
        self._heads: list[Head] = []
        # A function, since Keras would save a network that is an attribute a second time.
        self._network: Callable[[], keras.Model] | None = None
        self.built = True

    def bind(self, network: keras.Model, tasks: Sequence[Task]) -> None:
        """Finds the heads and the variables of the encoders, and checks them.

        Args:
            network: The network.
            tasks: Its tasks.

        Raises:
            ValueError: If they do not fit, or it belongs to another network.
        """
        if self._network is not None and self._network() is not network:
            raise ValueError(
                f"{self.name!r} belongs to another network already; make a new "
                "GradientModulation for each model."
            )
        self._network = lambda: network
        self._heads = find_heads(network, tasks, self.encoders, self.name)

    @property
    def log_names(self) -> list[str]:
        """The names of the factors in the logs."""
        return [f"{name}_factor" for name in self.encoders]

    @property
    def messages(self) -> tuple[int, ...]:
        """What the replicas send each other in a step, as numbers of floats in their order."""
        sizes = [math.prod(v.shape) for head in self._heads for v in head.variables]
        return (2 * len(self._heads), *([sum(sizes)] if self.noise else []))

    def changed(
        self,
        result: StepResult,
        outputs: Mapping[str, Tensor],
        batch: Batch,
        step: Step,
        seed: Tensor,
    ) -> StepResult:
        """Returns the result of a step, with the gradients of the encoders changed.

        Args:
            result: The result of the rule.
            outputs: The predictions of the step, by task.
            batch: Its batch.
            step: The step.
            seed: An int32 `[2]`, the same on all replicas.
        """
        factors = self._factors(outputs, batch, step)
        for mean, factor in zip(self._means, factors, strict=True):
            mean.update_state(factor)
        places = [
            (variable, factor)
            for head, factor in zip(self._heads, factors, strict=True)
            for variable in head.variables
            if result.gradients.get(id(variable)) is not None
        ]
        before = [Gradient(result.gradients[id(variable)]) for variable, _ in places]
        after = [g.times(factor) for g, (_, factor) in zip(before, places, strict=True)]
        if self.noise and places:
            after = self._with_noise(before, after, step.replicas, seed)
        changed = {id(v): g.array for (v, _), g in zip(places, after, strict=True)}
        return dataclasses.replace(result, gradients={**result.gradients, **changed})

    def _factors(self, outputs: Mapping[str, Tensor], batch: Batch, step: Step) -> list[Tensor]:
        """Returns the factor k_m of each encoder, of the global batch."""
        weights = batch.weights_of(list(self.encoders))
        sums = [head.sums(outputs, batch.y, weights) for head in self._heads]
        totals, counts = tf.unstack(step.replicas.sum(tf.transpose(tf.stack(sums))))
        active = [tf.reduce_any(step.active[head.losses]) for head in self._heads]
        known = (counts > 0.0) & tf.stack(active)
        scores = tf.where(known, tf.math.divide_no_nan(totals, counts), 0.0)
        num_others = tf.reduce_sum(tf.cast(known, tf.float32)) - 1.0
        rest = tf.math.divide_no_nan(tf.reduce_sum(scores) - scores, num_others)
        ratios = tf.math.divide_no_nan(scores, rest)  # 0 where there is nothing to compare with
        return list(tf.unstack(factor_of(ratios, self.alpha)))

    def _with_noise(
        self, before: list[Gradient], after: list[Gradient], replicas: Replicas, seed: Tensor
    ) -> list[Gradient]:
        """Returns this replica's gradients with its share of the noise."""
        whole = replicas.sum([gradient.dense() for gradient in before])
        seeds = tf.unstack(tf.random.split(seed, len(whole)))
        share = replicas.share(tf.cast(self.alpha > 0.0, tf.float32))
        parts = zip(after, whole, seeds, strict=True)
        return [Gradient(g.dense() + share * _noise(w, s)) for g, w, s in parts]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal object."""
        return {
            "encoders": dict(self.encoders),
            "alpha": self._first_alpha,
            "noise": self.noise,
            "name": self.name,
        }


def factor_of(ratios: Tensor, alpha: Tensor) -> Tensor:
    """Returns k_m for ratios r_m of the probabilities of the right label."""
    return tf.where(ratios > 1.0, 1.0 - tf.tanh(alpha * ratios), 1.0)


def _noise(gradient: Tensor, seed: Tensor) -> Tensor:
    """Draws normal numbers with the standard deviation of a gradient's entries."""
    # Divided by n - 1, as in the authors' code; 0 for a single entry.
    count = tf.cast(tf.size(gradient), tf.float32)
    squares = tf.reduce_sum(tf.square(gradient - tf.reduce_mean(gradient)))
    deviation = tf.sqrt(tf.math.divide_no_nan(squares, count - 1.0))
    return deviation * tf.random.stateless_normal(tf.shape(gradient), seed)


def check_modulation(modulate: Any) -> GradientModulation | None:
    """Returns a modulation or `None`; checks that it is one."""
    if modulate is not None and not isinstance(modulate, GradientModulation):
        raise ValueError(
            f"modulate must be a keras_mtl.training.GradientModulation; received {modulate!r}."
        )
    return modulate
