"""The checks of `BalancedModel`: networks, balancers, strategies and data that fit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl import data
from keras_mtl._keras_internals import calls_of, mask_of
from keras_mtl._replicas import num_replicas
from keras_mtl._tasks import Task
from keras_mtl.balancers import Balancer, GradientBalancer, GramianBalancer, LossBalancer
from keras_mtl.training._frontier import Frontier, named_outputs
from keras_mtl.training._optimizer import CLIPPING, inner_optimizers, normalizations
from keras_mtl.training._steps import excluded_option


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


def check_fit_data(
    x: Any,
    y: Any,
    tasks: Sequence[Task],
    *,
    validation_data: Any = None,
    steps_per_epoch: int | None = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    **_: Any,
) -> Any:
    """Checks that the training and validation data fit the tasks; returns the training data."""
    # docs/keras_notes.md, pain 18; keras#20701
    if class_weight is not None:
        raise ValueError(
            "Keras takes no class_weight for several outputs; use "
            "keras_mtl.data.class_weights(dataset, tasks, {task: {class: weight}})."
        )
    if isinstance(x, tf.data.Dataset):
        if steps_per_epoch is not None and x.cardinality() == tf.data.UNKNOWN_CARDINALITY:
            # Its end, in mid-epoch, would corrupt the optimizer (docs/keras_notes.md, F1).
            x = x.repeat()
        data.check_dataset(x, tasks, steps_per_epoch=steps_per_epoch)
    elif isinstance(x, Iterator) and steps_per_epoch is None:
        raise ValueError(
            "the number of batches of a generator is unknown: Keras would take a broken step at "
            "its end. Pass steps_per_epoch, with a generator that does not end, or a "
            "tf.data.Dataset."
        )
    elif y is not None:
        check_arrays(x, y, sample_weight, tasks)
    if isinstance(validation_data, tf.data.Dataset):
        data.check_dataset(validation_data, tasks, steps_per_epoch=1)
    elif isinstance(validation_data, (tuple, list)):
        inputs, labels, *weights = validation_data
        check_arrays(inputs, labels, weights[0] if weights else None, tasks)
    return x


def with_balance_data(x: Any, balance_data: Any, balancer: Balancer, tasks: Sequence[Task]) -> Any:
    """Returns the training data, with second batches if the balancer needs them: `(x, second)`."""
    kind = type(balancer).__name__
    if not balancer.needs.second_batch:
        if balance_data is not None:
            raise ValueError(f"{kind} looks at no second batch; leave balance_data out.")
        return x
    if not isinstance(x, tf.data.Dataset) or not isinstance(balance_data, tf.data.Dataset):
        raise ValueError(
            f"{kind} looks at a second batch in each step: pass x and balance_data as batched "
            f"tf.data.Dataset; received {type(x).__name__} and {type(balance_data).__name__}."
        )
    data.check_dataset(balance_data, tasks, steps_per_epoch=1)
    return tf.data.Dataset.zip(x, balance_data.repeat())


def check_arrays(x: Any, y: Any, sample_weight: Any, tasks: Sequence[Task]) -> None:
    """Checks arrays as if they were one batch of a dataset."""
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        # docs/keras_notes.md, F2; keras#20596
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(
                f"{name} must be a dictionary by task with the keys "
                f"{[task.name for task in tasks]}; received {type(value).__name__}. Keras would "
                "bind a list to the tasks in alphabetical order."
            )
    element = (x, y) if sample_weight is None else (x, y, sample_weight)
    data.check_dataset(tf.data.Dataset.from_tensors(element), tasks)
