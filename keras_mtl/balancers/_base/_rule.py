"""The checks in front of every rule, so that it can be called with plain arrays."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops
from keras.backend import standardize_dtype

from keras_mtl._types import Tensor


def is_abstract(method: Any) -> bool:
    """Returns whether a method is still to be written by a subclass."""
    return bool(getattr(method, "__isabstractmethod__", False))


def wrap_rule(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Wraps a rule so that it accepts plain arrays and counts its calls.

    In this order: the arrays are converted to tensors, their shapes are checked, the balancer is
    built if it is not, the number of tasks is compared with that of `build` or of `on_tasks`,
    the rule runs, `iteration` goes up by one, and the result is converted to float32 (weights
    stay as they are): a rule may have made constants of `keras.config.floatx()`.

    Args:
        rule: `scalarize(self, losses)`, `weigh(self, gramian, losses)` or
            `merge(self, gradients, losses)`.

    Returns:
        The method that replaces the rule in its class.
    """

    @functools.wraps(rule)
    def checked_rule(self: Any, *arrays: Tensor) -> Tensor:
        *statistics, losses = arrays
        statistics = [_as_statistic(array, self._rule_name == "weigh") for array in statistics]
        arrays = (*statistics, ops.convert_to_tensor(losses, "float32"))
        num_tasks = _check_shapes(self, arrays)
        if not self.built:
            if self._indices is not None:
                raise ValueError(f"{self.name}: call build(num_tasks) before on_tasks(indices).")
            if self._rule_name == "merge" and not self.sizes:
                self.lay_out([int(arrays[0].shape[1])])
            self.build(num_tasks)
        expected = self.num_tasks if self._indices is None else self._indices.shape[0]
        # Either number is None where it is unknown while the graph is traced.
        if None not in (num_tasks, expected) and num_tasks != expected:
            raise ValueError(
                f"{self.name} expects {expected} losses; received {num_tasks}. "
                "Make a new balancer for another number of tasks."
            )
        result = rule(self, *arrays)
        # After the rule, which draws its random numbers by the iteration that is now over.
        self.iteration.assign(self.iteration.value + 1)
        return result if self._rule_name == "weigh" else ops.cast(result, "float32")

    return checked_rule


def _as_statistic(array: Any, keeps_precision: bool) -> Tensor:
    """Converts an array to a float32 tensor; a float64 Gramian keeps its digits."""
    dtype = getattr(array, "dtype", None)
    if keeps_precision and dtype is not None and standardize_dtype(dtype) == "float64":
        return ops.convert_to_tensor(array)
    return ops.convert_to_tensor(array, "float32")


def _check_shapes(balancer: Any, arrays: Sequence[Tensor]) -> int | None:
    """Checks that losses are `[K]` and that the statistic fits; returns the number of tasks.

    The number is `None` where it is unknown while the graph is traced. With `needs.inner_steps`
    the losses are `[2K]`, those of K tasks on two batches.
    """
    *statistics, losses = (tuple(array.shape) for array in arrays)
    if len(losses) != 1:
        raise ValueError(f"{balancer.name}: losses must be [K]; received shape {losses}.")
    for shape in statistics:
        expected = "[K, K]" if balancer._rule_name == "weigh" else "[K, n]"
        fits = len(shape) == 2 and shape[0] == losses[0]
        if not fits or (balancer._rule_name == "weigh" and shape[1] != losses[0]):
            raise ValueError(
                f"{balancer.name}: with {losses[0]} losses, {balancer._rule_name} expects an "
                f"array {expected} and the losses; received shape {shape}."
            )
    num_losses: int | None = losses[0]
    if not balancer.needs.inner_steps or num_losses is None:
        return num_losses
    if num_losses % 2:
        raise ValueError(
            f"{balancer.name}: losses must be [2K], those of K tasks before the inner steps and "
            f"after them; received shape {losses}."
        )
    return num_losses // 2
