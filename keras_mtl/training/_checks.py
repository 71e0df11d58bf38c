"""The checks of `BalancedModel`: networks, balancers and strategies that fit.

Data are checked in `_data_checks`.
"""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import calls_of, mask_of
from keras_mtl._replicas import num_replicas
from keras_mtl._tasks import Task
from keras_mtl.balancers import Balancer, GradientBalancer, GramianBalancer, LossBalancer
from keras_mtl.data._check_arrays import check_arrays
from keras_mtl.training._frontier import Frontier, named_outputs
from keras_mtl.training._gradients import MANY_ROWS
from keras_mtl.training._optimizer import CLIPPING, inner_optimizers, normalizations
from keras_mtl.training._steps import excluded_option

__all__ = [
    "check_absent",
    "check_arrays",
    "check_balancing",
    "check_distribution",
    "check_needs",
    "check_normalization",
    "check_outputs",
    "check_sketch",
]


def check_outputs(network: keras.Model, tasks: Sequence[Task]) -> tuple[str, ...]:
    """Checks that the outputs are exactly the tasks; returns their names in the network's order.

    A task is bound to an output by its name, never by its position (docs/keras_notes.md, F2).
    """
    names = tuple(named_outputs(network))
    wanted = [task.name for task in tasks]
    missing = sorted(set(wanted) - set(names))
    extra = sorted(set(names) - set(wanted))
    if missing or extra:
        raise ValueError(
            f"the network's outputs {sorted(names)} must be the tasks {sorted(wanted)}: "
            + "; ".join(
                part
                for part in (
                    f"no output for the task(s) {missing}" if missing else "",
                    f"no task for the output(s) {extra}" if extra else "",
                )
                if part
            )
            + "."
        )
    return names


def check_absent(absent: str) -> str:
    """Returns the option `absent`; checks that it is one of its two values."""
    if absent not in ("rest", "drift"):
        raise ValueError(f"absent must be 'rest' or 'drift'; received {absent!r}.")
    return absent


def check_unbalanced(unbalanced: Any, tasks: Sequence[Task], balancer: Balancer) -> tuple[str, ...]:
    """Returns the names of tasks that are not balanced; checks that enough others are left."""
    names = [task.name for task in tasks]
    chosen = [unbalanced] if isinstance(unbalanced, str) else list(unbalanced)
    if isinstance(unbalanced, str) or {*chosen} - {*names}:
        raise ValueError(f"unbalanced must be a list of names of {names}; received {unbalanced!r}.")
    left = [name for task in tasks if task.name not in chosen for name in task.loss_names]
    # Without unbalanced tasks `check_balancing` says it.
    if chosen and len(left) < max(1, getattr(balancer, "min_tasks", 1)):
        raise ValueError(
            f"{type(balancer).__name__} needs at least {max(1, balancer.min_tasks)} tasks, and "
            f"unbalanced={chosen} leaves {left}. Use keras_mtl.balancers.Equal() without it."
        )
    return tuple(chosen)


def check_balancing(
    balancer: Balancer, frontier: Frontier, tasks: Sequence[Task], at: str, every: int
) -> None:
    """Checks that a balancer can work on a network with the options `at` and `every`."""
    kinds = (LossBalancer, GramianBalancer, GradientBalancer)
    if not isinstance(balancer, kinds):
        raise TypeError(
            "balancer must be a LossBalancer, GramianBalancer or GradientBalancer, such as "
            f"keras_mtl.balancers.PCGrad(); received {balancer!r}."
        )
    if at not in ("parameters", "representation"):
        raise ValueError(f"at must be 'parameters' or 'representation'; received {at!r}.")
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise ValueError(f"every must be a whole number of steps, at least 1; received {every!r}.")
    names = [name for task in tasks for name in task.loss_names]
    kind = type(balancer).__name__
    if len(names) < balancer.min_tasks:
        raise ValueError(
            f"{kind} needs at least {balancer.min_tasks} tasks; received {names}. Train one task "
            "with keras_mtl.balancers.Equal(), or with network.compile(**compile_args(tasks))."
        )
    if isinstance(balancer, LossBalancer):
        return
    # Where towers call one layer, it is shared by them, though it lies above the trunk.
    if not frontier.shared and not frontier.tied:
        raise ValueError(
            f"{kind} balances the variables that tasks share, and the tasks {names} share none "
            "in this network. Use a LossBalancer such as keras_mtl.balancers.Equal()."
        )
    if at == "representation" and (frontier.tied or frontier.walled):
        why = "use the same layer" if frontier.tied else "stop each other's gradients"
        raise ValueError(
            "at='representation' needs one frontier below which everything is shared and above "
            f"which nothing is; in this network the towers of {names} {why}. Use at='parameters'."
        )


def check_sketch(sketch: Any, balancer: Balancer, tasks: Sequence[Task], at: str) -> int | None:
    """Returns the option `sketch`; checks that the Gramian may be estimated, and from how much."""
    if sketch is None:
        return None
    if not isinstance(sketch, int) or isinstance(sketch, bool) or sketch < 1:
        raise ValueError(f"sketch must be a whole number above 0, or None; received {sketch!r}.")
    num_losses = sum(len(task.loss_names) for task in tasks)
    why, cure = None, "Leave it out."
    if not isinstance(balancer, GramianBalancer) or balancer.needs.lengths_only:
        why = f"estimates inner products of gradients, and {type(balancer).__name__} reads none"
    elif at != "representation":
        why = f"is for at='representation'; received at={at!r}"
    elif num_losses < MANY_ROWS:
        why = f"costs more than it saves below {MANY_ROWS} losses; the tasks have {num_losses}"
    elif sketch < 2 * num_losses:
        why = f"is too little for {num_losses:,} losses: their gradients would seem dependent"
        cure = f"Use {2 * num_losses} or more, better {8 * num_losses}."
    if why is not None:
        raise ValueError(f"sketch={sketch} {why}. {cure}")
    return sketch


def check_needs(model: Any, optimizer: Any = None) -> None:
    """Checks that no option excludes a need of the balancer (table: `_steps/_choose_step.py`)."""
    message = excluded_option(model, optimizer)
    if message is not None:
        raise ValueError(message)


def check_distribution(
    optimizer: keras.optimizers.Optimizer, jit_compile: bool | str, steps_per_execution: int
) -> None:
    """Refuses options that fail on several replicas, or differ from one device there.

    The effect of each of them is in docs/keras_notes.md, F8.
    """
    replicas = num_replicas()
    if replicas == 1:
        return
    inner = inner_optimizers(optimizer)
    wrong = []
    for inner_optimizer in inner:
        # merge_call fails in both (docs/keras_notes.md, pain 34; keras#14829). Clipping is done
        # before the optimizer (`as_on_one_device`), which knows one set of limits only.
        names = ["gradient_accumulation_steps", *(CLIPPING if len(inner) > 1 else ())]
        names += ["ema_overwrite_frequency"] if inner_optimizer.use_ema else []
        values = {name: getattr(inner_optimizer, name) for name in names}
        wrong += [f"{name}={value}" for name, value in values.items() if value]
    if jit_compile is True:  # docs/keras_notes.md, pain 35; keras#18145
        wrong.append("jit_compile=True")
    if steps_per_execution > 1:  # docs/keras_notes.md, pain 39; keras#19246
        wrong.append(f"steps_per_execution={steps_per_execution}")
    if wrong:
        raise ValueError(
            f"on {replicas} replicas {', '.join(wrong)} either fails in Keras or is applied on "
            "each replica apart, which differs from one device. Leave it out"
            + (", or use one optimizer for all variables." if len(inner) > 1 else ".")
        )


def check_normalization(network: keras.Model, balancer: Balancer, at: str, every: int) -> None:
    """Checks that batch normalization can see the global batch of several replicas."""
    replicas = num_replicas()
    normalizing = normalizations(network)
    if replicas == 1 or not normalizing:
        return
    # Even synchronized, a masked one has statistics per replica (docs/keras_notes.md, pain 70).
    masked = [
        operation.name
        for operation in network.operations
        if isinstance(operation, keras.layers.Layer)
        and normalizations(operation)
        and any(
            mask_of(tensor) is not None for n in calls_of(operation) for tensor in n.input_tensors
        )
    ]
    if masked:
        raise ValueError(
            f"on {replicas} replicas the layers {masked} normalize masked inputs by statistics of "
            "each replica apart, which differs from one device. Use LayerNormalization, or "
            "train on one device."
        )
    # These steps pass the trunk inside of a branch, where the gradients of synchronized statistics
    # would need a collective (docs/keras_notes.md, pain 78).
    if every > 1 and at == "parameters" and not isinstance(balancer, LossBalancer):
        raise ValueError(
            f"on {replicas} replicas every={every} passes over gradients in most steps, and "
            f"those of {normalizing[0].name!r} need all replicas in each. Use every=1, "
            "at='representation', or LayerNormalization."
        )
