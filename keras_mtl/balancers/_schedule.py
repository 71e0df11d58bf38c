"""Weights that follow a schedule."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers, plain

Omega: TypeAlias = "float | Callable[[Tensor], Tensor]"


@keras.saving.register_keras_serializable(package="keras_mtl")
class Schedule(LossBalancer):
    """Weighs the losses by functions of time that are known before training.

        w_k(t) = omega_k(t) gamma_k^t        minimizes sum_k w_k(t) L_k

    Each `omega_k` is a number or any function of t. Choose it to bring tasks in or take them out
    during training: an auxiliary task that fades, a hard task that waits. Not the right choice
    when it is not known before training which weights the tasks will need.

    Weights are used as they are, not normalized. t begins at 0.

    Guide:
        Choose it when: weights should follow a plan, such as w g^t
        Not when: no plan is known
        Source: Tang et al. 2020, RecSys

    Args:
        weights: `omega`: K numbers or functions in the order of the tasks, a dict of them by
            task name, or one function from t to either. A function takes t as a float32 scalar
            and consists of `keras.ops`. So that the model can be saved, the function must be an
            object that Keras can serialize, such as any of `keras.optimizers.schedules`, or be
            registered: `@keras.saving.register_keras_serializable()`.
        decay: gamma, above 0: a number for all tasks, K numbers, or a dict by task name. Defaults
            to `1.0`: constant.
        per: The unit of t: `"epoch"` counts the epochs that have ended, `"step"` the steps in
            which weights were computed. Defaults to `"epoch"`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is out of range, `per` is unknown or a function could not be
            saved; when the model is made, if there is not one entry per task.

    Example:
        >>> balancer = Schedule([1.0, 0.5], decay=[1.0, 0.5])
        >>> for epoch in range(2):
        ...     print(float(balancer.scalarize([1.0, 1.0])))
        ...     balancer.end_epoch()
        1.5
        1.25
        >>> ramp = keras.optimizers.schedules.PolynomialDecay(1.0, 10, end_learning_rate=0.0)
        >>> balancer = Schedule({"main": 1.0, "auxiliary": ramp}, per="step")

    Reference: Tang et al. (2020), "Progressive Layered Extraction", RecSys, where each omega is a
    number and t counts epochs. Functions are an addition.
    """

    def __init__(
        self,
        weights: Mapping[str, Omega] | Sequence[Omega] | Callable[[Tensor], Any],
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
            for omega in weights.values() if isinstance(weights, Mapping) else weights:
                _check_omega(omega)
        self.per = per
        self._omegas, self._decay = weights, decay

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._gammas = self.per_task("decay", self._decay)
        self.epoch = self.add_state("epoch", (), dtype="int32", task_axes=0)
        if not callable(self._omegas):
            self._in_order(self._omegas)

    def _in_order(self, omegas: Any) -> list[Any]:
        """Returns one entry per task, from a dict by task name or a sequence."""
        # `per_task` takes numbers alone: zeros in place of functions check the names or length.
        if isinstance(omegas, Mapping):
            self.per_task("weights", dict.fromkeys(omegas, 0.0))
            return [omegas[name] for name in self.task_names or ()]
        self.per_task("weights", [0.0] * len(omegas))
        return list(omegas)

    def task_weights(self) -> Tensor:
        """Returns the weights `[K]` at the current t."""
        counter = self.epoch if self.per == "epoch" else self.iteration
        time = ops.cast(counter.value, "float32")
        omegas = self._omegas(time) if callable(self._omegas) else self._omegas
        if isinstance(omegas, (Mapping, Sequence)):
            entries = [
                omega(time) if callable(omega) else omega for omega in self._in_order(omegas)
            ]
            omegas = ops.stack([ops.cast(entry, "float32") for entry in entries])
        omega = self.select_active(ops.reshape(omegas, (self.num_tasks,)))
        return omega * ops.power(self.select_active(self._gammas), time)

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`."""
        return ops.sum(ops.stop_gradient(self.task_weights()) * losses)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Counts the epoch."""
        if self.built:
            self.epoch.assign(self.epoch.value + 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "weights": keras.saving.serialize_keras_object(plain(self._omegas)),
            "decay": plain(self._decay),
            "per": self.per,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schedule":
        """Makes the balancer that `get_config` described."""
        weights = keras.saving.deserialize_keras_object(config["weights"])
        return cls(**{**config, "weights": weights})


def _check_omega(omega: Any) -> None:
    """Checks that an entry is a function that can be saved, or a number from 0 on."""
    if callable(omega):
        _check_function(omega)
    else:
        check_numbers("weights", omega)


def _check_function(function: Any) -> None:
    """Checks that Keras can save the function, before training rather than when it saves."""
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
