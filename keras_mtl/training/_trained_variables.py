"""Which variables a model trains: layers may be frozen or thawed after it was made."""

import math
from collections.abc import Sequence
from typing import Any

from keras_mtl.balancers import Balancer, GradientBalancer
from keras_mtl.training._frontier import Frontier


class TrainedVariables:
    """Remembers the variables that are trained, since later changes need another `compile`.

    Args:
        balancer: The balancer.
        at: As in `BalancedModel`.
    """

    def __init__(self, balancer: Balancer, at: str) -> None:
        self._balancer, self._at = balancer, at
        self._shared: list[int] = []
        self._compiled: dict[int, str] = {}

    def lay_out(self, frontier: Frontier) -> None:
        """Tells a balancer that merges gradients how many entries each shared variable has.

        Raises:
            ValueError: If the balancer keeps numbers for other variables.
        """
        balancer = self._balancer
        if not isinstance(balancer, GradientBalancer) or self._at != "parameters":
            return
        # In training fewer of them may be shared: `Step.laid_out` fills in the rest.
        shared = [id(variable) for variable in frontier.shareable]
        sizes = tuple(math.prod(variable.shape) for variable in frontier.shareable)
        same = sizes == balancer.sizes and shared == (self._shared or shared)
        if balancer.built and not same and _counts_entries(balancer):
            raise ValueError(
                f"{type(balancer).__name__} keeps numbers for each shared variable, and was built "
                f"for {len(balancer.sizes)} of them with {balancer.size} entries; now there are "
                f"{len(sizes)} with {sum(sizes)} entries, since layers have been frozen or thawed "
                "or it has served another network. Freeze layers first, and then make a model "
                "with a new balancer: BalancedModel(network, tasks, "
                f"{type(balancer).__name__}(...))."
            )
        balancer.lay_out(sizes)
        self._shared = shared

    def remember(self, variables: Sequence[Any]) -> None:
        """Remembers the variables that `compile` has found to be trainable."""
        self._compiled = {id(variable): variable.path for variable in variables}

    def check(self, variables: Sequence[Any]) -> None:
        """Checks that no layer has been frozen or thawed since `compile`.

        Keras would train a frozen layer on, since the step is traced already
        (docs/keras_notes.md, pain 32).

        Args:
            variables: The variables that are trainable now.

        Raises:
            ValueError: If others were trainable when the model was compiled.
        """
        now = {id(variable): variable.path for variable in variables}
        frozen = sorted(path for key, path in self._compiled.items() if key not in now)
        thawed = sorted(path for key, path in now.items() if key not in self._compiled)
        changes = [
            f"{word} since compile: {_shortened(paths)}"
            for word, paths in (("frozen", frozen), ("thawed", thawed))
            if paths
        ]
        if changes:
            raise ValueError(
                f"variables have been {' and '.join(changes)}. Call compile again, so that the "
                "balancer and the optimizer know of it."
            )


def _counts_entries(balancer: Balancer) -> bool:
    """Returns whether some state has further axes than those of tasks, such as one of entries."""
    return any(len(state.variable.shape) > state.task_axes for state in balancer.states)


def _shortened(paths: list[str]) -> str:
    """Returns the first three paths, and how many there are beside them."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{paths[:3]}{more}"
