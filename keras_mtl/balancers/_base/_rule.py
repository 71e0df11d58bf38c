"""The door of every rule: plain arrays are checked, the state is built, the call is counted."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops
from keras.backend import standardize_dtype

from keras_mtl._types import Tensor


def is_abstract(method: Any) -> bool:
    """Whether a method is still to be written by a subclass."""
    return bool(getattr(method, "__isabstractmethod__", False))


def with_door(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Lets a rule take plain arrays: converts them, builds the state, counts the call."""

    @functools.wraps(rule)
    def checked(self: Any, *arrays: Tensor) -> Tensor:
        *statistics, losses = arrays
        statistics = [_as_statistic(each, self._rule == "weigh") for each in statistics]
        arrays = (*statistics, ops.convert_to_tensor(losses, "float32"))
        num_tasks = _check_shapes(self, arrays)
        if not self.built:
            if self._indices is not None:
                raise ValueError(f"{self.name}: call build(num_tasks) before on_tasks(indices).")
            if self._rule == "merge" and not self.sizes:
                self.lay_out([int(arrays[0].shape[1])])
            self.build(num_tasks)
        expected = self.num_tasks if self._indices is None else self._indices.shape[0]
        if None not in (num_tasks, expected) and num_tasks != expected:
            raise ValueError(
                f"{self.name} expects {expected} losses; received {num_tasks}. "
                "Make a new balancer for another number of tasks."
            )
        result = rule(self, *arrays)
        self.iteration.assign(self.iteration.value + 1)
        return result

    return checked


def _as_statistic(array: Any, keeps_precision: bool) -> Tensor:
    """The array as a tensor in float32; a float64 Gramian keeps the digits that it has."""
    given = getattr(array, "dtype", None)
    if keeps_precision and given is not None and standardize_dtype(given) == "float64":
        return ops.convert_to_tensor(array)
    return ops.convert_to_tensor(array, "float32")


def _check_shapes(balancer: Any, arrays: Sequence[Tensor]) -> int | None:
    """The number of tasks, when losses are `[K]` and what comes before them fits."""
    *statistics, losses = (tuple(array.shape) for array in arrays)
    if len(losses) != 1:
        raise ValueError(f"{balancer.name}: losses must be [K]; received shape {losses}.")
    for shape in statistics:
        expected = "[K, K]" if balancer._rule == "weigh" else "[K, n]"
        fits = len(shape) == 2 and shape[0] == losses[0]
        if not fits or (balancer._rule == "weigh" and shape[1] != losses[0]):
            raise ValueError(
                f"{balancer.name}: with {losses[0]} losses, {balancer._rule} expects an array "
                f"{expected} and the losses; received shape {shape}."
            )
    count: int | None = losses[0]
    if not balancer.needs.inner_steps or count is None:
        return count
    if count % 2:
        raise ValueError(
            f"{balancer.name}: losses must be [2K], those of K tasks before the inner steps and "
            f"after them; received shape {losses}."
        )
    return count // 2
