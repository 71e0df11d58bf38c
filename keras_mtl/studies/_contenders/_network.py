"""One network of a contender: what is built, compiled and trained."""

import dataclasses
import re
import zlib
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

from keras_mtl._tasks import Task, compile_args
from keras_mtl.studies._contenders._settings import (
    Rates,
    Settings,
    hyper_parameters_of_trial,
    rate_of_trial,
    weights_of_trial,
)
from keras_mtl.studies._data._labeled_batches import LabeledBatches
from keras_mtl.training import BalancedModel
from keras_mtl.tuning._space import reweighted
from keras_mtl.tuning._weighted_tasks import takes_hyper_parameters

MakeOptimizer = Callable[[float], keras.optimizers.Optimizer]
"""Makes an optimizer from a learning rate."""


@dataclasses.dataclass(frozen=True)
class Network:
    """Describes one network of a contender.

    Args:
        contender: The name of the contender.
        index: Its number among the networks of the contender.
        build: `build(tasks)` or `build(tasks, hp)`.
        tasks: Its tasks.
        optimizer: Makes the optimizer of a network that is not compiled.
        rates: The bounds of the learning rate; equal ones fix it.
        ratio: The largest ratio of two task weights, if they are searched.
        is_compiled: Whether the builder compiles the network, with an optimizer of its own.
        labeled: How the rows with a label of its one task are batched, if it is trained on them
            alone; `None` for all rows.
    """

    contender: str
    index: int
    build: Callable[..., Any]
    tasks: tuple[Task, ...]
    optimizer: MakeOptimizer
    rates: Rates
    ratio: float | None = None
    is_compiled: bool = False
    labeled: LabeledBatches | None = None

    @property
    def key(self) -> str:
        """The name of its folder: the name of the contender as far as a file can have it."""
        letters = re.sub(r"[^A-Za-z0-9]+", "-", self.contender).strip("-").lower()[:40]
        # Two names may have the same letters, and one name other groups in another call.
        identity = repr((self.contender, self.names, self.ratio, self.is_compiled))
        return f"{letters}-{self.index}-{zlib.crc32(identity.encode()):08x}"

    @property
    def has_choices(self) -> bool:
        """Whether trials can differ."""
        rate = not self.is_compiled and self.rates[0] < self.rates[1]
        return rate or self.takes_hp or (self.ratio is not None and len(self.tasks) > 1)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its tasks."""
        return tuple(task.name for task in self.tasks)

    @property
    def takes_hp(self) -> bool:
        """Whether the builder asks for hyper-parameters."""
        return takes_hyper_parameters(self.build)

    def settings_of(self, trial: int, seed: int) -> Settings:
        """Returns the settings of a trial. Builds a network if it has to ask for its space."""
        weights = None
        if self.ratio is not None and len(self.tasks) > 1:
            weights = weights_of_trial(self.names, self.ratio, trial, seed)
        hyper_parameters: dict[str, Any] = {}
        if self.takes_hp:
            hyper_parameters = hyper_parameters_of_trial(
                lambda hp: self.build(self.tasks, hp), trial, seed
            )
        rate = None if self.is_compiled else rate_of_trial(self.rates, trial)
        return Settings(rate, weights, hyper_parameters)

    def make(self, settings: Settings, seed: int) -> keras.Model:
        """Builds and compiles a network with some settings, from a seed.

        Raises:
            TypeError: If the builder returns no model.
            ValueError: If the outputs of the network are not its tasks.
        """
        tasks: tuple[Task, ...] = self.tasks
        if settings.weights is not None:
            tasks = reweighted(tasks, settings.weights)
        arguments: list[Any] = [tasks]
        if self.takes_hp:
            hp = keras_tuner.HyperParameters()
            hp.values = dict(settings.hyper_parameters)
            arguments.append(hp)
        keras.utils.set_random_seed(seed)
        model = self.build(*arguments)
        self.check(model)
        if not model.compiled:
            rate = self.rates[0] if settings.learning_rate is None else settings.learning_rate
            compiled_with = {} if isinstance(model, BalancedModel) else compile_args(tasks)
            with model.distribute_strategy.scope():
                model.compile(self.optimizer(rate), **compiled_with)
        return model

    def check(self, model: Any) -> None:
        """Checks what the builder returned.

        Raises:
            TypeError: If it is no model.
            ValueError: If its outputs are not the tasks.
        """
        called = f"contender {self.contender!r}: build(tasks) for {list(self.names)}"
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"{called} returned a {type(model).__name__}; expected a new keras.Model or "
                "BalancedModel."
            )
        network = getattr(model, "network", model)
        outputs = getattr(network, "output", None)
        names = list(outputs) if isinstance(outputs, dict) else network.output_names
        if sorted(names) != sorted(self.names):
            raise ValueError(
                f"{called} returned a network with the outputs {sorted(names)}; expected one per "
                "task, in a dict by name. Build it from the tasks that build receives."
            )
