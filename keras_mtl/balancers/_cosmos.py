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
    """Trains one network for every preference between the tasks, which it takes as an input.

    Each step draws a preference r, feeds it to the network's input named `"preference"` (of
    shape `(K,)`, in the order of the tasks), and minimizes

        r^T L - lambda cos(r, L)        r ~ Dirichlet(alpha)

    so that the whole Pareto front is there afterwards: `predict` with the preference that is
    wanted. Choose it where the trade-off is to be chosen after training. Not the right choice
    for one known trade-off, which it meets less closely than a network trained for it alone, or
    where losses differ in scale, for r weights them as they are.

    With a `preference` of your own nothing is drawn, and the network needs no such input: the
    objective alone, for one point of the front.

    Weights are `r - lambda d cos / d L`: with sum 1 for lambda = 0, else they may be negative.
    If all losses are 0 the cosine counts for nothing. Tasks that take part in a step share the
    preference of those that do not.

    Args:
        alpha: Concentration of the draws, above 0: a number for all tasks, K of them, or a dict
            by task name. Below 1 extreme preferences are likelier. Defaults to `1.0`: all alike.
        lambda_: Reward for losses in the ratio of the preference; the paper's values go from
            0.01 to 8. Defaults to `1.0`.
        preference: A fixed r in place of draws: K numbers above 0 or a dict by task name, brought
            to sum 1. Defaults to `None`.
        seed: Of the draws, which change at each step. Defaults to `0`. XLA draws other numbers
            from a seed than TensorFlow without it.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is out of range; when the model is made, if there is not one a
            task.

    Example:
        >>> balancer = COSMOS(lambda_=0.0)
        >>> balancer.build(2)
        >>> r = balancer.draw_preference()  # of the step that comes
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
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._concentration = self.per_task("alpha", self._alpha)
        if self._preference is not None:
            self._fixed = self.per_task("preference", self._preference)

    def draw_preference(self) -> Tensor:
        """The preference `[K]` of the step that comes, for all tasks; with sum 1.

        The same until `scalarize` has been called, on all replicas.

        Raises:
            ValueError: Before `build`.
        """
        if not self.built:
            raise ValueError(f"{self.name}: call build(num_tasks) before draw_preference().")
        if self._preference is not None:
            return shares_of(ops.convert_to_tensor(self._fixed, "float32"))
        concentration = ops.convert_to_tensor(self._concentration, "float32")
        return dirichlet(concentration, self.seed(self._seed))

    def scalarize(self, losses: Tensor) -> Tensor:
        """The weighted sum of the losses `[K]`, less the reward for their ratio."""
        preference = shares_of(self.present(self.draw_preference()))
        ray, size = preference / length(preference), length(losses)
        cosine = ops.sum(ray * losses) / ops.where(size > 1e-30, size, 1.0)
        return ops.sum(preference * losses) - self.lambda_ * cosine

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "alpha": plain(self._alpha),
            "lambda_": self.lambda_,
            "preference": plain(self._preference),
            "seed": self._seed,
        }
