"""Balancers that combine the losses."""

import abc

from keras_mtl._types import Tensor
from keras_mtl.balancers._base._balancer import Balancer


class LossBalancer(Balancer):
    """Combines the losses into one scalar, whose derivatives are the task weights.

    Choose this kind for a rule that needs only the losses: a weighted sum, a worst case, a
    function of the losses of former steps. It is the cheapest kind: one backward pass, as in
    plain training. Not the right kind where the rule compares gradients: see `GramianBalancer`.

    Write `scalarize(losses)`, from losses `[K]` to a scalar. The scalar is differentiated as it
    stands, so that task-specific variables are weighted too. State that should not be
    differentiated goes through `ops.stop_gradient`.

    Args:
        name: Optional name of the layer.

    Example:
        >>> from keras import ops
        >>> class Worst(LossBalancer):
        ...     def scalarize(self, losses):
        ...         return ops.max(losses)
        >>> float(Worst().scalarize([1.0, 3.0]))
        3.0
    """

    _rule_name = "scalarize"

    @abc.abstractmethod
    def scalarize(self, losses: Tensor) -> Tensor:
        """Combines the losses of a step into the scalar to be minimized.

        Args:
            losses: Losses of the K active tasks, `[K]`, float32.

        Returns:
            A scalar, differentiable with respect to `losses`.
        """

    def evaluate(self, losses: Tensor) -> Tensor:
        """Returns the scalar that evaluation logs as `loss`: by default, that of `scalarize`.

        Override it where a step draws something that evaluation does not.

        Args:
            losses: Losses of the K tasks with labels, `[K]`, float32.
        """
        return self.scalarize(losses)
