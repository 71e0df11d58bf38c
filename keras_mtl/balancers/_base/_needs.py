"""The needs of a rule, beyond the statistic of its kind."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
    """Declares what a balancer needs of a training step, beyond the statistic of its kind.

    Every balancer has one as its attribute `needs`: of the class, or of the instance where it
    depends on an argument of the constructor. `BalancedModel` chooses the kind of step by it, and
    refuses options that it excludes, before training. A balancer that wraps another one takes
    over the needs of that one.

    Args:
        losses_after: Whether `after_update` receives the losses `[K]` of the same batch after
            the update. Costs one more forward pass per step. Defaults to `False`.
        preference: Whether the network takes a preference `[K]` as an input named "preference".
            The balancer's `draw_preference` returns it in each step. Defaults to `False`.
        samples: The number of independent samples into which each batch is cut. From 2 on,
            `gramian[i, j]` is the product of task i's gradient on the first sample and task j's
            gradient on the second one: an unbiased estimate, which is not symmetric. The weights
            combine the gradients of the last sample. Defaults to `1`: the whole batch.
        second_batch: Whether each step also takes a batch of `fit(balance_data=...)` and looks
            ahead on it. `gramian[i, j]` is then the decrease of task j's loss on that batch per
            unit of weight i, to first order: the learning rate times the product of task i's
            gradient on the first batch and the gradient of task j's loss on the second one, taken
            after a plain step with `look_ahead_weights`. Defaults to `False`.
        inner_steps: With `second_batch`, the number of plain steps that are taken from the
            current variables and then taken back. From 1 on, the rule combines the gradients of
            both batches: `gramian [2K, 2K]` and the weights `[2K]` belong to the tasks' gradients
            on the first batch, followed by those on the second one, all at the current variables.
            The losses `[2K]` are those of the first batch before these steps, followed by those
            after them. Defaults to `0`.
        inner_learning_rate: The learning rate of the inner steps. Defaults to `0.0`.
        per_entry_state: Whether the state has an entry for each of the n entries of a gradient.
            Defaults to `False`.
        lengths_only: Whether the rule reads only the diagonal of the Gramian; all other entries
            are then zero. This saves K^2 products of gradients, which are most of a step with a
            thousand columns. Defaults to `False`.

    Raises:
        ValueError: If a number is out of range, or two needs exclude each other.

    Example:
        >>> import keras_mtl as mtl
        >>> mtl.balancers.FAMO().needs.losses_after
        True
        >>> class Sampled(mtl.balancers.GramianBalancer):
        ...     needs = mtl.balancers.Needs(samples=3)
        ...     def weigh(self, gramian, losses):
        ...         return losses
        >>> Sampled().needs.samples
        3
    """

    losses_after: bool = False
    preference: bool = False
    samples: int = 1
    second_batch: bool = False
    inner_steps: int = 0
    inner_learning_rate: float = 0.0
    per_entry_state: bool = False
    lengths_only: bool = False

    def __post_init__(self) -> None:
        if self.samples < 1 or self.inner_steps < 0:
            raise ValueError(
                "samples must be at least 1 and inner_steps at least 0; received "
                f"samples={self.samples}, inner_steps={self.inner_steps}."
            )
        if self.inner_steps and not self.second_batch:
            raise ValueError(
                f"inner_steps={self.inner_steps} are taken to compare two batches; add "
                "second_batch=True."
            )
        if self.second_batch and self.samples > 1:
            raise ValueError(
                f"a step takes a second batch or samples of one; received second_batch=True and "
                f"samples={self.samples}. Declare one of the two."
            )
