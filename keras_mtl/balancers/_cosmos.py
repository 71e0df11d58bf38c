"""Preference-conditioned training."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, Needs, check_numbers, check_seed, plain
from keras_mtl.balancers._solvers import dirichlet, length, shares_of


@keras.saving.register_keras_serializable(package="keras_mtl")
class COSMOS(LossBalancer):
    """Trains one network for every preference between the tasks, which is one of its inputs.

    Each step draws a preference r, feeds it to the network's input named `"preference"` (of
    shape `(K,)`, in the order of the tasks), and minimizes

        r^T L - lambda cos(r, L)        r ~ Dirichlet(alpha)

    After training the network covers the whole Pareto front: call `predict` with the preference
    that is wanted. Choose it when the trade-off is to be chosen after training. It is not the
    right choice for one known trade-off, which it meets less closely than a network trained for
    that trade-off alone. Nor is it when losses differ in scale, since r weights them as they are.

    If `preference` is set, nothing is drawn and the network needs no such input: the rule then
    only supplies the objective, for one point of the front.

    Weights are `r - lambda d cos / d L`: their sum is 1 for lambda = 0; otherwise they may be
    negative. If all losses are 0, the cosine counts for nothing. Tasks that take part in a step
    share the preference of those that do not.

    Guide:
        Choose it when: one network should serve all trade-offs
        Not when: one trade-off is enough
        Source: Ruchte and Grabocka 2021, arXiv:2103.13392

    Args:
        alpha: Concentration of the draws, above 0: one number for all tasks, K numbers, or a dict
            by task name. Below 1, extreme preferences are likelier. Defaults to `1.0`: all
            preferences are equally likely.
        lambda_: Reward for losses in the ratio of the preference; the paper's values go from
            0.01 to 8. Defaults to `1.0`.
        preference: A fixed r in place of draws: K numbers above 0 or a dict by task name; divided
            by their sum. Defaults to `None`: r is drawn.
        seed: Seed of the draws, which change at each step. Defaults to `0`. With the same seed,
            XLA draws other numbers than TensorFlow without XLA.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is out of range; when the model is created, if there is not one
            number per task.

    Example:
        >>> balancer = COSMOS(lambda_=0.0)
        >>> balancer.build(2)
        >>> r = balancer.draw_preference()  # of the next step
        >>> float(balancer.scalarize([1.0, 0.0])) == float(r[0])
        True

    Reference: Ruchte & Grabocka (2021), arXiv:2103.13392.
    """

    needs = Needs(preference=True)

    def __init__(
        self,
        *,
        alpha: float | Sequence[float] | Mapping[str, float] = 1.0,
        lambda_: float = 1.0,
        preference: Sequence[float] | Mapping[str, float] | None = None,
        seed: int = 0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("alpha", alpha, 1e-2)
        check_numbers("lambda_", lambda_)
        check_numbers("preference", 1.0 if preference is None else preference, 1e-6)
        check_seed(seed)
        self.lambda_, self._seed = float(lambda_), int(seed)
        self._alpha, self._preference = alpha, preference
        self.needs = Needs(preference=preference is None)

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._concentration = self.per_task("alpha", self._alpha)
        if self._preference is not None:
            self._fixed_preference = self.per_task("preference", self._preference)

    def draw_preference(self) -> Tensor:
        """Returns the preference `[K]` of the next step, for all tasks; its sum is 1.

        It is the same on all replicas, and until `scalarize` has been called.

        Raises:
            ValueError: Before `build`.
        """
        if not self.built:
            raise ValueError(f"{self.name}: call build(num_tasks) before draw_preference().")
        if self._preference is not None:
            return shares_of(ops.convert_to_tensor(self._fixed_preference, "float32"))
        concentration = ops.convert_to_tensor(self._concentration, "float32")
        return dirichlet(concentration, self.seed(self._seed))

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`, minus the reward for their ratio."""
        # The seed depends on the iteration alone: this draw equals the one fed to the network.
        return self._objective(losses, shares_of(self.select_active(self.draw_preference())))

    def evaluate(self, losses: Tensor) -> Tensor:
        """Returns the objective of even preferences, which the network is evaluated with."""
        if self._preference is not None:
            return self.scalarize(losses)
        return self._objective(losses, shares_of(ops.ones_like(losses)))

    def _objective(self, losses: Tensor, preference: Tensor) -> Tensor:
        unit_preference, size = preference / length(preference), length(losses)
        cosine = ops.sum(unit_preference * losses) / ops.where(size > 1e-30, size, 1.0)
        return ops.sum(preference * losses) - self.lambda_ * cosine

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {
            **super().get_config(),
            "alpha": plain(self._alpha),
            "lambda_": self.lambda_,
            "preference": plain(self._preference),
            "seed": self._seed,
        }
