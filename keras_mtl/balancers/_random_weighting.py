"""Random loss weighting (RLW)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_seed
from keras_mtl.balancers._solvers import dirichlet, softmax

_DISTRIBUTIONS = ("normal", "dirichlet", "one-hot")


@keras.saving.register_keras_serializable(package="keras_mtl")
class RandomWeighting(LossBalancer):
    """Draws the weights of each step at random (random loss weighting, RLW).

    The argument `distribution` selects one of three:

    - `"normal"`: `w = softmax(x)`, with x drawn from N(0, 1) for each task;
    - `"dirichlet"`: w drawn uniformly from all weights with sum 1;
    - `"one-hot"`: in each step one task has weight 1, all other tasks 0.

    Choose it as the baseline that a rule for weights has to beat: it costs nothing and often
    equals elaborate rules. `"one-hot"` trains the tasks in random turns. Not the right choice
    when losses differ in scale: on average, all tasks have the same weight.

    Weights sum to 1, and are 1/K on average: the mean step is that of `Equal` divided by K.
    They are the same on all replicas, and a resumed training run draws the same weights as an
    uninterrupted one.

    Guide:
        Choose it when: a baseline is wanted that every rule should beat
        Not when: training has few steps
        Source: Lin et al. 2022, arXiv:2111.10603

    Args:
        distribution: `"normal"`, `"dirichlet"` or `"one-hot"`. Defaults to `"normal"`.
        seed: The seed of the draws, which change at each step. Defaults to `0`. From the same
            seed, XLA draws other numbers than TensorFlow without XLA.
        name: Optional name of the layer.

    Raises:
        ValueError: If the distribution is unknown or the seed is negative.

    Example:
        >>> balancer = RandomWeighting(distribution="one-hot")
        >>> float(balancer.scalarize([2.0, 3.0])) in (2.0, 3.0)
        True

    Reference: Lin et al. (2022), arXiv:2111.10603, with three of its distributions.
    """

    def __init__(
        self,
        *,
        distribution: str = "normal",
        seed: int = 0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if distribution not in _DISTRIBUTIONS:
            raise ValueError(
                f"distribution must be one of {_DISTRIBUTIONS}; received {distribution!r}."
            )
        check_seed(seed)
        self.distribution = distribution
        self._seed = int(seed)

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the randomly weighted sum of the losses `[K]`."""
        return ops.sum(self._draw(ops.shape(losses)[0]) * losses)

    def _draw(self, num_tasks: int) -> Tensor:
        """Draws the weights `[K]` of this step."""
        seed = self.seed(self._seed)
        if self.distribution == "dirichlet":
            return dirichlet(ops.ones((num_tasks,), "float32"), seed)
        if self.distribution == "normal":
            return softmax(keras.random.normal((num_tasks,), dtype="float32", seed=seed))
        # The largest of K uniform draws is equally often that of each task.
        draws = keras.random.uniform((num_tasks,), dtype="float32", seed=seed)
        return ops.one_hot(ops.argmax(draws), num_tasks, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        config = super().get_config()
        return {**config, "distribution": self.distribution, "seed": self._seed}
