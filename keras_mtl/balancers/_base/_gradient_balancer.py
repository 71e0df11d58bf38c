"""Balancers that merge gradients."""

import abc
from collections.abc import Sequence
from typing import Any

from keras_mtl._types import Tensor
from keras_mtl.balancers._base._balancer import Balancer


class GradientBalancer(Balancer):
    """Merges the tasks' gradients into one direction that is no weighted sum of them.

    Choose this kind for a rule that looks at single entries of the gradients (signs, medians), or
    that keeps averages of them. Not the right kind where weights per task are enough: it costs
    more memory than the other kinds, since all gradients are joined into one array.

    Write `merge(gradients, losses)`, from gradients `[K, n]` and losses `[K]` to a direction
    `[n]`.

    Args:
        name: Optional name of the layer.

    Example:
        >>> from keras import ops
        >>> class Median(GradientBalancer):
        ...     def merge(self, gradients, losses):
        ...         return ops.median(gradients, axis=0)
        >>> gradients = [[1.0, 0.0], [2.0, 5.0], [9.0, 1.0]]
        >>> Median().merge(gradients, [1.0, 1.0, 1.0]).numpy().tolist()
        [2.0, 1.0]
    """

    _rule_name = "merge"
    min_tasks = 2

    def __init__(self, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.sizes: tuple[int, ...] = ()

    def lay_out(self, sizes: Sequence[int]) -> None:
        """Sets how many of the n entries belong to each variable, in order.

        Call it before `build`. `BalancedModel` does so with `at="parameters"`, and so does the
        first `merge` of plain arrays (with one part of n entries). From then on `self.sizes` and
        their sum `self.size` are known.

        Args:
            sizes: Number of entries of each shared variable. Where only gradients tell which ones
                are shared, those of all that may be: a variable of one task has gradients of zero.
        """
        self.sizes = tuple(int(size) for size in sizes)

    @property
    def size(self) -> int:
        """n, the number of entries of a gradient; 0 while it is unknown."""
        return sum(self.sizes)

    def get_build_config(self) -> dict[str, Any]:
        """Returns the build configuration of every balancer, and the sizes of the variables."""
        return {**super().get_build_config(), "sizes": list(self.sizes)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the balancer for the tasks and sizes of `get_build_config`."""
        self.lay_out(config.get("sizes", ()))
        super().build_from_config(config)

    @abc.abstractmethod
    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """Merges the gradients of a step into one direction.

        Args:
            gradients: Gradients of the K active tasks, `[K, n]`, float32.
            losses: Their losses, `[K]`, float32.

        Returns:
            The direction `[n]` that stands in place of the sum of the gradients.
        """
