"""Adaptive moments per task (AdaTask)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GradientBalancer, Needs, check_numbers, plain


@keras.saving.register_keras_serializable(package="keras_mtl")
class AdaTask(GradientBalancer):
    """Takes Adam's step for each task with moments of its own, and sums the steps.

    For each entry of the shared variables, with t_k the steps of task k,

        (1)  m_k <- beta_1 m_k + (1 - beta_1) g_k        v_k <- beta_2 v_k + (1 - beta_2) g_k^2
        (2)  d = sum_k w_k (m_k / (1 - beta_1^t_k)) / (sqrt(v_k / (1 - beta_2^t_k)) + epsilon)

    or, with `optimizer="adagrad"`, the step of AdaGrad: v_k <- v_k + g_k^2 from 0, and

        (3)  d = sum_k w_k g_k / (sqrt(v_k) + epsilon)

    One Adam for the sum of the losses divides each entry by the length of the task that is
    longest there, so this task alone sets the step. Here every task moves every entry by as much.
    Choose it when losses or gradients differ in scale and Adam is the optimizer. Not the right
    choice when memory is scarce (it keeps 2 K numbers per shared weight, K for AdaGrad), or when
    gradients conflict. AdaGrad's steps only become shorter: take it for sparse features whose
    gradients do not change their scale, where a network of one task would be trained by it.

    The direction *is* a step, of at most about `sum_k w_k` per entry: train the shared variables
    by `SGD` with the learning rate that Adam would have, and the towers by Adam (see the
    example). Under Adam the direction would be divided by its length once more. Weights of the
    losses cancel in (2), so `weights` multiply the steps. A task that is absent from a step adds
    nothing, and its moments and its t stay.

    Guide:
        Choose it when: gradients differ in scale and Adam is the optimizer
        Not when: memory is scarce
        Source: Yang et al. 2023, arXiv:2211.15055

    Args:
        weights: w: a number for all tasks, K numbers, or a dict by task name. Defaults to `1.0`.
        beta_1: The part of m that stays from step to step, below 1. Defaults to `0.9`; with `0`
            the rule is the paper's for RMSProp, with averages corrected for their start.
        beta_2: The same of v. Defaults to `0.999`.
        optimizer: `"adam"` or `"adagrad"`, which has no betas. Defaults to `"adam"`.
        epsilon: Added to the root. Defaults to `1e-8`, as in the authors' code; Keras takes 1e-7.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is negative, a beta is not from 0 to 0.9999999 or is given for
            AdaGrad, or the optimizer is another one.

    Example:
        >>> direction = AdaTask().merge([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [1.0, 1.0])
        >>> [round(float(entry), 4) for entry in direction]  # Adam's first step is 1, 1, 1
        [0.0, 2.0, 2.0]
        >>> by_path = {"shared_.*": keras.optimizers.SGD(1e-3)}  # as architectures name layers
        >>> optimizer_map = keras.optimizers.OptimizerMap(keras.optimizers.Adam(1e-3), by_path)
        >>> optimizer = keras.optimizers.MultiOptimizer(optimizer_map)

    Reference: Yang et al. (2023), arXiv:2211.15055, for Adam. Their code takes `weight_decay` and
    `amsgrad` and ignores both, multiplies losses by its task weights, which cancel, counts one t
    for all tasks, and stops where a task does not reach a variable. It has no AdaGrad, of which the
    paper says that each task accumulates its own squares; Keras's begins them with 0.1.
    """

    needs = Needs(per_entry_state=True)

    def __init__(
        self,
        *,
        weights: float | Sequence[float] | Mapping[str, float] = 1.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        optimizer: Literal["adam", "adagrad"] = "adam",
        epsilon: float = 1e-8,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if optimizer not in ("adam", "adagrad"):
            raise ValueError(f"optimizer must be 'adam' or 'adagrad'; received {optimizer!r}.")
        if optimizer == "adagrad" and (beta_1, beta_2) != (0.9, 0.999):
            raise ValueError(
                f"optimizer='adagrad' has no betas; received beta_1={beta_1!r} and "
                f"beta_2={beta_2!r}. Leave them out."
            )
        self.optimizer = optimizer
        check_numbers("weights", weights)
        check_numbers("beta_1", beta_1, 0, 1 - 1e-7)
        check_numbers("beta_2", beta_2, 0, 1 - 1e-7)
        check_numbers("epsilon", epsilon)
        self._weights, self.epsilon = weights, float(epsilon)
        self.beta_1, self.beta_2 = float(beta_1), float(beta_2)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._step_weights = self.per_task("weights", self._weights)
        if self.optimizer == "adam":
            self.count = self.add_state("count", (num_tasks,))
            self.momentum = self.add_state("momentum", (num_tasks, self.size))
        # The root of v: the square of a gradient of 1e20 would overflow.
        self.root = self.add_state("root", (num_tasks, self.size))

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """Merges gradients `[K, n]` into the direction `[n]`."""
        task_steps = (
            self._by_adam(gradients) if self.optimizer == "adam" else self._by_adagrad(gradients)
        )
        return ops.matmul(self.select_active(self._step_weights), task_steps)

    def _by_adagrad(self, gradients: Tensor) -> Tensor:
        """Returns the steps of AdaGrad, `[K, n]`."""
        root = _root_of_squares(self.root.value, gradients, 1.0, 1.0)
        self.root.assign(root)
        return ops.divide_no_nan(gradients, root + self.epsilon)

    def _by_adam(self, gradients: Tensor) -> Tensor:
        """Returns the steps of Adam, `[K, n]`."""
        steps = self.count.value + 1
        momentum = self.beta_1 * self.momentum.value + (1 - self.beta_1) * gradients
        root = _root_of_squares(self.root.value, gradients, self.beta_2, 1 - self.beta_2)
        for state, value in ((self.count, steps), (self.momentum, momentum), (self.root, root)):
            state.assign(value)
        corrected_momentum = momentum / _correction(self.beta_1, steps)[:, None]
        divisor = root / ops.sqrt(_correction(self.beta_2, steps))[:, None] + self.epsilon
        # Without an epsilon, an entry that has always been 0 does not move.
        return ops.divide_no_nan(corrected_momentum, divisor)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "weights": plain(self._weights),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "optimizer": self.optimizer,
            "epsilon": self.epsilon,
        }


def _correction(beta: float, steps: Tensor) -> Tensor:
    """Returns `1 - beta^t` for steps t `[K]`, with the digits that a difference would lose."""
    return -ops.expm1(steps * math.log(beta)) if beta else ops.ones_like(steps)


def _root_of_squares(root: Tensor, gradients: Tensor, kept: float, new: float) -> Tensor:
    """Returns `sqrt(kept root^2 + new gradients^2)`; no square overflows or vanishes."""
    largest = ops.maximum(root, ops.abs(gradients))
    scale = ops.where(largest > 0, largest, 1)
    square = kept * ops.square(root / scale) + new * ops.square(gradients / scale)
    return largest * ops.sqrt(square)
