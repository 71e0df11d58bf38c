"""Weights that follow a schedule."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers, plain

Part: TypeAlias = "float | Callable[[Tensor], Tensor]"


@keras.saving.register_keras_serializable(package="keras_mtl")
class Schedule(LossBalancer):
    """Weights the losses by functions of time, known before training.

        w_k(t) = omega_k(t) gamma_k^t        minimizes sum_k w_k(t) L_k

    with `omega_k` a number or any function of t. Choose it to bring tasks in or out in the
    course of training: an auxiliary task that fades, a hard one that waits. Not the right choice
    where it is not known beforehand what the tasks will need.

    Weights are used as they come, not normalized. t is 0 at first.

    Args:
        weights: `omega`: K numbers or functions in the order of the tasks, a dict of them by
            task name, or one function from t to either. A function takes t as a float32 scalar
            and is made of `keras.ops`. So that the model can be saved, it must be an object that
            Keras can serialize, such as any of `keras.optimizers.schedules`, or be registered:
            `@keras.saving.register_keras_serializable()`.
        decay: gamma, above 0: a number for all, K of them, or a dict by task name. Defaults to
            `1.0`: constant.
        per: What t counts: `"epoch"`, ended ones, or `"step"`, in which weights were computed.
            Defaults to `"epoch"`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is out of range, `per` is unknown or a function could not be
            saved; when the model is made, if there is not one entry a task.

    Example:
        >>> balancer = Schedule([1.0, 0.5], decay=[1.0, 0.5])
        >>> for epoch in range(2):
        ...     print(float(balancer.scalarize([1.0, 1.0])))
        ...     balancer.end_epoch()
        1.5
        1.25
        >>> ramp = keras.optimizers.schedules.PolynomialDecay(1.0, 10, end_learning_rate=0.0)
        >>> balancer = Schedule({"main": 1.0, "auxiliary": ramp}, per="step")

    Reference: Tang et al. (2020), "Progressive Layered Extraction", RecSys, for numbers omega
    and t an epoch. Functions are an addition.
    """

    def __init__(
        self,
        weights: Mapping[str, Part] | Sequence[Part] | Callable[[Tensor], Any],
        *,
        decay: float | Sequence[float] | Mapping[str, float] = 1.0,
        per: str = "epoch",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("decay", decay, 1e-6)
        if per not in ("epoch", "step"):
            raise ValueError(f"per must be 'epoch' or 'step'; received {per!r}.")
        if callable(weights):
            _check_function(weights)
        else:
            for part in weights.values() if isinstance(weights, Mapping) else weights:
                _check_part(part)
        self.per = per
        self._given, self._decay = weights, decay

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._gammas = self.per_task("decay", self._decay)
        self.epoch = self.add_state("epoch", (), dtype="int32", task_axes=0)
        if not callable(self._given):
            self._in_order(self._given)

    def _in_order(self, parts: Any) -> list[Any]:
        """One entry a task, from a dict by task name or a sequence."""
        if isinstance(parts, Mapping):
            self.per_task("weights", dict.fromkeys(parts, 0.0))
            return [parts[name] for name in self.task_names or ()]
        self.per_task("weights", [0.0] * len(parts))
        return list(parts)

    def task_weights(self) -> Tensor:
        """The weights `[K]` at the present t."""
        count = self.epoch if self.per == "epoch" else self.iteration
        time = ops.cast(count.value, "float32")
        parts = self._given(time) if callable(self._given) else self._given
        if isinstance(parts, (Mapping, Sequence)):
            parts = [part(time) if callable(part) else part for part in self._in_order(parts)]
            parts = ops.stack([ops.cast(part, "float32") for part in parts])
        omega = self.present(ops.reshape(parts, (self.num_tasks,)))
        return omega * ops.power(self.present(self._gammas), time)

    def scalarize(self, losses: Tensor) -> Tensor:
        """The weighted sum of the losses `[K]`."""
        return ops.sum(ops.stop_gradient(self.task_weights()) * losses)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Counts the epoch."""
        if self.built:
            self.epoch.assign(self.epoch.value + 1)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "weights": keras.saving.serialize_keras_object(plain(self._given)),
            "decay": plain(self._decay),
            "per": self.per,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schedule":
        """Makes the balancer that `get_config` described."""
        weights = keras.saving.deserialize_keras_object(config["weights"])
        return cls(**{**config, "weights": weights})


def _check_part(part: Any) -> None:
    if callable(part):
        _check_function(part)
    else:
        check_numbers("weights", part)


def _check_function(function: Any) -> None:
    """Raises now what would otherwise end a training where it is to be saved."""
    name = getattr(function, "__name__", type(function).__name__)
    try:
        if name == "<lambda>":
            raise ValueError("a lambda has no name to be restored by")
        config = keras.saving.serialize_keras_object(function)
        keras.saving.deserialize_keras_object(config)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the schedule {name} could not be saved with a model. Write it as a function "
            "decorated with @keras.saving.register_keras_serializable(), or use one of "
            "keras.optimizers.schedules."
        ) from error
