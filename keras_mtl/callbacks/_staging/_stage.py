"""One stage of a training: which tasks and layers it trains, how fast and how long."""

import dataclasses
import fnmatch
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import nested_layers
from keras_mtl.balancers import LossBalancer
from keras_mtl.data._elements._numbers import read_number, read_whole


@dataclasses.dataclass(frozen=True)
class Stage:
    """Holds what one stage of `Stages` trains.

    Attributes:
        tasks: The names of the tasks whose losses count. Defaults to `None`: all.
        layers: Patterns of layer names, with `*` for any letters and `|` between patterns:
            `"shared_*|click_*"`. All other layers rest. Defaults to `"*"`: whatever the tasks
            reach.
        learning_rate: The learning rate of the stage. Defaults to `None`: that of the optimizer.
            Of several optimizers (`transfer.discriminative`) it is the highest rate, and the others
            keep their ratios to it.
        epochs: How long it lasts; with `until`, how long at most.
        until: A pair `(name, "min" or "max")`, as `keras_mtl.monitor` returns it: the stage ends
            when this value of the logs has not improved for `patience` epochs.
        patience: See `until`. Defaults to `3`.
        name: Its name in messages. Defaults to its number.

    Example:
        >>> import keras_mtl as mtl
        >>> click = mtl.Task.binary("click")
        >>> stage = Stage(
        ...     ["click"], "shared_*|click_*", epochs=20, until=mtl.monitor(click, "auc")
        ... )
        >>> stage.until
        ('val_click_auc', 'max')
    """

    tasks: Sequence[str] | None = None
    layers: str = "*"
    learning_rate: float | None = None
    epochs: int | None = None
    until: tuple[str, str] | None = None
    patience: int = 3
    name: str | None = None

    def check(self, label: str) -> None:
        """Checks what can be checked without a model.

        Args:
            label: Its name in messages.

        Raises:
            ValueError: If an argument does not fit.
        """
        if isinstance(self.tasks, str) or (self.tasks is not None and not self.tasks):
            raise ValueError(f"{label}: tasks must be a list of names; received {self.tasks!r}.")
        if self.learning_rate is not None:
            read_number(self.learning_rate, f"{label}: learning_rate is", low=0, above=True)
        if self.epochs is None and self.until is None:
            raise ValueError(f"{label} has no end: pass epochs=... or until=monitor(task, metric).")
        if self.epochs is not None:
            read_whole(self.epochs, f"{label}: epochs is")
        read_whole(self.patience, f"{label}: patience is")
        if self.until is not None and (len(self.until) != 2 or self.until[1] not in ("min", "max")):
            raise ValueError(
                f"{label}: until must be (name, 'min' or 'max'), as keras_mtl.monitor(task, "
                f"metric) returns it; received {self.until!r}."
            )


def find_variables(stage: Stage, model: Any, label: str) -> list[keras.Variable]:
    """Returns the variables of the layers that a stage trains, moving averages included.

    Args:
        stage: The stage.
        model: The `BalancedModel`.
        label: The name of the stage in messages.

    Raises:
        ValueError: If a pattern matches no layer with variables, the stage trains nothing, or its
            tasks share nothing that is trained although the balancer works on gradients.
    """
    layers = [layer for layer in nested_layers(model.network, include_self=False) if layer.weights]
    variables: dict[int, keras.Variable] = {}
    for pattern in stage.layers.split("|"):
        matched = [layer for layer in layers if fnmatch.fnmatchcase(layer.name, pattern.strip())]
        if not matched:
            names = sorted({layer.name for layer in layers})
            raise ValueError(
                f"{label}: no layer with variables matches {pattern!r}; the network has {names}."
            )
        variables |= {id(variable): variable for layer in matched for variable in layer.weights}
    tasks = {task.name for task in model.tasks} if stage.tasks is None else set(stage.tasks)
    _check_trained(model, variables, tasks, label)
    return list(variables.values())


def _check_trained(model: Any, variables: dict[int, Any], tasks: set[str], label: str) -> None:
    trained = [v for v in model.network.trainable_variables if id(v) in variables]
    users = {id(v): model.frontier.users.get(id(v), set()) & tasks for v in trained}
    of_joint = {
        id(getattr(source, "variable", source)): name
        for name in tasks
        for source in model.frontier.task_variables[name]
    }
    if not any(users[id(v)] or id(v) in of_joint for v in trained):
        raise ValueError(
            f"{label} trains nothing: no layer that it names is reached by the tasks "
            f"{sorted(tasks)}, or all of them have trainable=False."
        )
    shares = any(len(users[id(v)]) > 1 for v in trained)
    if len(tasks) > 1 and not shares and not isinstance(model.balancer, LossBalancer):
        raise ValueError(
            f"{label}: {type(model.balancer).__name__} balances the variables that tasks share, "
            f"and the stage trains none that {sorted(tasks)} share. Use a LossBalancer such as "
            "keras_mtl.balancers.Equal(), or one stage per task."
        )
