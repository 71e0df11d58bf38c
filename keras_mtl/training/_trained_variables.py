"""Which variables a model trains: layers may be frozen or thawed after it was made."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mtl._keras_internals import resize
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
        # The number of entries of each shared variable, by `id`.
        self._shared: dict[int, int] = {}
        self._compiled: dict[int, str] = {}

    def lay_out(self, frontier: Frontier) -> None:
        """Tells a balancer that merges gradients how many entries each shared variable has.

        Raises:
            ValueError: If the balancer keeps numbers for variables of another network.
        """
        balancer = self._balancer
        if not isinstance(balancer, GradientBalancer) or self._at != "parameters":
            return
        # In training fewer of them may be shared: `Step.laid_out` fills in the rest.
        shared = {id(v): math.prod(v.shape) for v in frontier.shareable}
        sizes = tuple(shared.values())
        same = sizes == balancer.sizes and [*shared] == [*(self._shared or shared)]
        if balancer.built and not same and _counting_entries(balancer):
            self._lay_out_anew(shared)
        balancer.lay_out(sizes)
        self._shared = shared

    def _lay_out_anew(self, shared: dict[int, int]) -> None:
        """Gives the numbers that a balancer keeps for each variable the places of a new layout.

        What is kept for a variable that stays goes with it. Others begin with zeros, as all did.

        Args:
            shared: The number of entries of each shared variable, by `id`.
        """
        balancer = self._balancer
        if not self._shared:
            sizes = [*shared.values()]
            raise ValueError(
                f"{type(balancer).__name__} keeps numbers for each shared variable, and was built "
                f"for {len(balancer.sizes)} of them with {balancer.size} entries; now there are "
                f"{len(sizes)} with {sum(sizes)} entries, since it has served another network or "
                "another model. Make a model with a new balancer: BalancedModel(network, tasks, "
                f"{type(balancer).__name__}(...))."
            )
        for variable in _counting_entries(balancer):
            # For each variable one number, or as many as it has entries.
            by_entry = variable.shape[-1] != len(self._shared)
            widths = self._shared if by_entry else dict.fromkeys(self._shared, 1)
            ends = list(itertools.accumulate(widths.values()))[:-1]
            parts = np.split(variable.numpy(), ends, axis=-1)
            old = dict(zip(widths, parts, strict=True))
            lead = variable.shape[:-1]
            new = [
                old[key] if key in old else np.zeros((*lead, size if by_entry else 1), "float32")
                for key, size in shared.items()
            ]
            resize(variable, np.concatenate(new, axis=-1))

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


def _counting_entries(balancer: Balancer) -> list[Any]:
    """Returns the state that has another axis than those of tasks, which is one of entries."""
    states = balancer.states
    return [s.variable for s in states if len(s.variable.shape) > s.task_axes]


def _shortened(paths: list[str]) -> str:
    """Returns the first three paths, and how many there are beside them."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{paths[:3]}{more}"
