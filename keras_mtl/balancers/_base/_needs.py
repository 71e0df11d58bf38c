"""What a rule needs beyond the statistic of its kind."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
    """Declares what a balancer needs of a training step, beyond the statistic of its kind.

    Every balancer has one as its attribute `needs`: of the class, or of the instance where it
    depends on an argument. `BalancedModel` chooses the kind of step by it, and refuses options
    that it excludes, before training. A balancer that wraps another takes over the other's.

    Args:
        losses_after: Whether `after_update` receives the losses `[K]` of the same batch after
            the update: one more forward pass per step.
        preference: Whether the network takes a preference `[K]`, an input named "preference",
            which `draw_preference` gives in each step.
        samples: Into how many independent samples a batch is cut. From 2 on, `gramian[i, j]` is
            the product of task i's gradient on the first sample and task j's on the second: an
            unbiased estimate, not symmetric. The gradients of the last sample are combined.
        second_batch: Whether each step takes a batch of `fit(balance_data=...)` too, and looks
            ahead on it. `gramian[i, j]` is then what weight i gains for the loss of task j on
            that batch: the learning rate times the product of task i's gradient and that of task
            j's loss there, after a plain step with `look_ahead_weights`.
        inner_steps: With `second_batch`, how many plain steps to take from here, and to take
            back. From 1 on, the rule combines the gradients of both batches: `gramian [2K, 2K]`
            and the weights `[2K]` are of the tasks' gradients on the batch, then of those on the
            second one, both at the present variables. The losses `[2K]` are those of the batch,
            before these steps and after them.
        inner_learning_rate: The learning rate of the inner steps.
        per_entry_state: Whether the state has an entry for each of the n entries of a gradient.
        lengths_only: Whether the rule reads nothing but the diagonal of the Gramian; all other
            entries are zero then. Saves K^2 products of gradients, which of a thousand columns
            are most of a step.

    Raises:
        ValueError: If a number is out of range, or needs exclude each other.

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
