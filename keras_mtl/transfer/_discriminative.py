"""Learning rates that fall from the heads to the inputs."""

import re
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._types import Optimizer, Tensor
from keras_mtl.transfer._levels import Level, levels_of_variables
from keras_mtl.transfer._networks import read_network


def discriminative(
    optimizer: Optimizer, network: keras.Model, factor: float = 2.6
) -> keras.optimizers.MultiOptimizer:
    """Makes an optimizer whose learning rate falls by a factor from each layer to the one below.

    A layer of level l is trained with the rate of `optimizer` / factor^l. The heads have level 0;
    a layer that heads alone read has level 1, and so on: the level of a layer is the largest number
    of layers with trainable variables on the way from it to an output. So a layer has a smaller
    rate than all layers that read it, in networks with branches too. Experts that stand side by
    side have one level. Frozen layers do not count.

    Choose it to train a loaded trunk (`load_trunk`) further together with new heads, which need
    large steps, while the trunk needs small ones. Not for a network that begins at random: its
    lower layers would hardly learn.

    Each level has its own optimizer of the same kind, with moments of its own. Weight decay of
    Keras's optimizers is a multiple of the rate, so it falls likewise. What a balancer learns
    (`Uncertainty`) is trained with the rate of the heads. If layers are frozen or thawed later,
    make a new one.

    Args:
        optimizer: A Keras optimizer, or the name of one. Its learning rate, a number or a schedule,
            is that of the heads. It is copied, without its moments.
        network: The functional network that it shall train, or the `BalancedModel` of it.
        factor: The rate of a layer divided by that of the layer below. Defaults to `2.6`; `1.0` are
            equal rates.

    Returns:
        A `keras.optimizers.MultiOptimizer` for `compile`. Its `optimizers` are those of the levels,
        from the second level down to the inputs, and that of the heads last.

    Raises:
        TypeError: If the network does not show its graph, or the optimizer is one of several.
        ValueError: If the factor is not positive and finite, nothing is trainable, the optimizer
            clips by the norm of all gradients together, or variables of different levels have one
            path.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(
        ...     keras.Input((4,)), tasks, shared=(8, 8), tower=()
        ... )
        >>> optimizer = discriminative("adam", network)
        >>> [f"{float(level.learning_rate):.6f}" for level in optimizer.optimizers]
        ['0.000385', '0.000148', '0.001000']

    Reference:
        Howard and Ruder 2018 (ULMFiT), arXiv:1801.06146. The paper's network is a chain, and its
        lowest layers have the smallest rate; the level of a layer in a graph is an addition.
    """
    network = read_network(network)
    base = _read_optimizer(optimizer)
    if not 0 < factor < float("inf"):
        raise ValueError(
            f"factor must be a positive number, by which rates fall from each layer to the one "
            f"below; received {factor!r}."
        )
    levels = levels_of_variables(network)
    if not levels:
        raise ValueError(
            f"no variable of the network {network.name!r} is trainable: thaw a layer, "
            "layer.trainable = True."
        )
    patterns = _patterns(levels)
    lower = {pattern: _slower(base, factor**depth) for depth, pattern in patterns.items()}
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(_slower(base, 1.0), lower))


@keras.saving.register_keras_serializable(package="keras_mtl")
class SlowerSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Divides the rates of another schedule by a number.

    Args:
        schedule: The schedule.
        divisor: The number.
    """

    def __init__(
        self, schedule: keras.optimizers.schedules.LearningRateSchedule, divisor: float
    ) -> None:
        super().__init__()
        self.schedule = schedule
        self.divisor = float(divisor)

    def __call__(self, step: Tensor) -> Tensor:
        return self.schedule(step) / self.divisor

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal schedule."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "divisor": self.divisor}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SlowerSchedule":
        """Makes the schedule that `get_config` described."""
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["divisor"])


def _read_optimizer(optimizer: Optimizer) -> keras.optimizers.Optimizer:
    """Returns the optimizer that shall be copied for each level.

    Raises:
        TypeError: If it holds other optimizers.
        ValueError: If its clipping needs the gradients of all levels.
    """
    base = keras.optimizers.get(optimizer)
    if isinstance(base, keras.optimizers.MultiOptimizer | keras.optimizers.LossScaleOptimizer):
        raise TypeError(
            f"optimizer must take the steps itself; received a {type(base).__name__}, which holds "
            "others. Pass one such as keras.optimizers.Adam(1e-3): compile scales the loss by "
            "itself in mixed precision."
        )
    if base.global_clipnorm:
        raise ValueError(
            f"global_clipnorm={base.global_clipnorm} clips by the norm of all gradients, and the "
            "optimizer of a level sees its own alone. Use clipnorm, which looks at each variable."
        )
    return base


def _slower(base: keras.optimizers.Optimizer, divisor: float) -> keras.optimizers.Optimizer:
    """Returns a new optimizer with a fraction of the learning rate."""
    config = base.get_config()
    rate = config["learning_rate"]
    if isinstance(rate, dict):  # a schedule
        schedule = keras.saving.deserialize_keras_object(rate)
        config["learning_rate"] = SlowerSchedule(schedule, divisor)
    else:
        config["learning_rate"] = float(rate) / divisor
    return type(base).from_config(config)


def _patterns(levels: Sequence[Level]) -> dict[int, str]:
    """Returns a pattern of paths for each level below the heads, from the highest down.

    One pattern per level: under several keys, Keras would load one optimizer as several, and whole
    paths change when a model is loaded (docs/keras_notes.md, pain 139).

    Raises:
        ValueError: If the path of a variable does not tell its level.
    """
    names: dict[int, list[str]] = {}
    for level in levels:
        names.setdefault(level.depth, []).append(re.escape(level.name))
    patterns = {depth: f"(?:.*/)?(?:{'|'.join(names[depth])})" for depth in sorted(names) if depth}
    for level in levels:
        paths = (level.variable.path, level.name)
        depths = {d for d, pattern in patterns.items() for p in paths if re.fullmatch(pattern, p)}
        if depths != ({level.depth} if level.depth else set()):
            raise ValueError(
                f"variables with the path {level.variable.path!r} stand at several levels, "
                f"{sorted({level.depth, *depths})}, and Keras tells them apart by path alone. Name "
                "the layers of models inside of the network differently."
            )
    return patterns
