"""Balancers that find task weights from inner products of gradients."""

import abc

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base._balancer import Balancer


class GramianBalancer(Balancer):
    """Finds task weights from the inner products of the tasks' gradients.

    Choose this kind for a rule whose direction is a weighted sum of the gradients, with weights
    that depend on the gradients' lengths and angles only. In `BalancedModel` it takes one backward
    pass per task through the shared part, or a single one with `at="representation"`. Not the
    right kind where the rule treats single entries of the gradients differently: see
    `GradientBalancer`.

    Write `weigh(gramian, losses)`, from the Gramian `[K, K]` of the gradients with respect to
    the shared variables (or to the shared representation) and the losses `[K]`, to weights `[K]`.
    With `needs.samples`, `needs.second_batch`, `needs.inner_steps` or `needs.lengths_only` the
    Gramian has other entries: see `Needs`.

    Args:
        name: Optional name of the layer.

    Example:
        >>> from keras import ops
        >>> class Unit(GramianBalancer):  # gradients of length 1
        ...     def weigh(self, gramian, losses):
        ...         return 1 / ops.sqrt(ops.diagonal(gramian))
        >>> Unit().weigh([[4.0, 1.0], [1.0, 16.0]], [1.0, 1.0]).numpy().tolist()
        [0.5, 0.25]
    """

    _rule_name = "weigh"
    min_tasks = 2

    def look_ahead_weights(self) -> Tensor:
        """Returns the weights `[K]`, of all tasks, of the plain step that is looked ahead to.

        Called before the rule, and only with `needs.second_batch`. By default all weights are 1.
        """
        return ops.ones((self.num_tasks,), "float32")

    @abc.abstractmethod
    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Returns the task weights of a step.

        Args:
            gramian: Inner products `[K, K]` of the gradients of the K active tasks, float32, or
                float64 if the caller gives them so.
            losses: Their losses, `[K]`, float32.

        Returns:
            Weights `[K]`.
        """
