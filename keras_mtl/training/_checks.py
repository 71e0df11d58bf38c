"""The doors of `BalancedModel`: networks, balancers, strategies and data that fit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl import data
from keras_mtl._keras_internals import calls_of, mask_of
from keras_mtl._replicas import num_replicas
from keras_mtl._tasks import Task
from keras_mtl.balancers import Balancer, GradientBalancer, GramianBalancer, LossBalancer
from keras_mtl.training._frontier._frontier import Frontier, named_outputs
from keras_mtl.training._optimizer import CLIPPING, inner_optimizers, normalizations


def check_outputs(network: keras.Model, tasks: Sequence[Task]) -> tuple[str, ...]:
    """The names of the outputs, in the network's order, if they are exactly the tasks'."""
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
    balancer: Balancer, parts: Frontier, tasks: Sequence[Task], at: str, every: int
) -> None:
    """Raises where a balancer cannot work on a network in the way that is asked."""
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
    if not parts.shared and not parts.tied:
        raise ValueError(
            f"{kind} balances the variables that tasks share, and the tasks {names} share none "
            "in this network. Use a LossBalancer such as keras_mtl.balancers.Equal()."
        )
    if at == "representation" and (parts.tied or parts.walled):
        why = "use the same layer" if parts.tied else "stop each other's gradients"
        raise ValueError(
            "at='representation' needs one frontier below which everything is shared and above "
            f"which nothing is; in this network the towers of {names} {why}. Use at='parameters'."
        )


def check_needs(
    balancer: Balancer, network: keras.Model, parts: Frontier, at: str, every: int
) -> None:
    """Raises where a balancer cannot have what it declares that it needs."""
    kind = type(balancer).__name__
    look_ahead = balancer.needs.second_batch
    sampled = balancer.needs.samples > 1
    entries = balancer.needs.per_entry_state
    if at == "representation" and (look_ahead or sampled or entries):
        raise ValueError(
            f"{kind} works on gradients with respect to the shared variables; received "
            "at='representation'. Use at='parameters'."
        )
    if entries and parts.entangled:
        raise ValueError(
            f"{kind} keeps a number for each entry of the shared variables, and this network, "
            "where a layer is used in several places or a nested model has several outputs, "
            "shows which these are in training only. Use another balancer."
        )
    if balancer.needs.preference and every > 1:
        raise ValueError(
            f"{kind} draws a preference in each step, which old weights do not fit; received "
            f"every={every}. Use every=1."
        )
    names = [tensor.name for tensor in network.inputs]
    if balancer.needs.preference and "preference" not in names:
        raise ValueError(
            f"{kind} trains a network for all preferences between tasks, so the network must take "
            f"one: an input keras.Input((number of tasks,), name='preference'). Its inputs are "
            f"{names}."
        )


def check_second_batch(
    balancer: Balancer, tasks: Sequence[Task], every: int, scale_towers: bool
) -> None:
    """Raises where a balancer that looks at a second batch cannot do so."""
    if not balancer.needs.second_batch:
        return
    kind = type(balancer).__name__
    if every > 1:
        raise ValueError(f"{kind} looks ahead in each step; received every={every}. Use every=1.")
    columns = [task.name for task in tasks if task.columns is not None]
    if columns:
        raise ValueError(
            f"{kind} looks ahead task by task, and the tasks {columns} have columns. Use a rule "
            "that looks at no second batch, or a task for each column."
        )
    if balancer.needs.inner_steps and scale_towers:
        raise ValueError(
            f"{kind} weighs gradients of two batches, and what is a task's own takes that of one; "
            "received scale_towers=True. Leave it out."
        )


def check_optimizer(optimizer: keras.optimizers.Optimizer, balancer: Balancer) -> None:
    """Raises for an optimizer that does not fit what a balancer declares that it needs."""
    kind = type(balancer).__name__
    accumulating = [each.gradient_accumulation_steps for each in inner_optimizers(optimizer)]
    if balancer.needs.losses_after and any(accumulating):
        raise ValueError(
            f"{kind} compares the losses before and after each step, and with "
            f"gradient_accumulation_steps={max(filter(None, accumulating))} most steps change "
            "nothing. Leave it out, and train on larger batches."
        )
    if balancer.needs.second_batch and len(accumulating) != 1:
        raise ValueError(
            f"{kind} looks ahead by the learning rate, and {type(optimizer).__name__} has "
            "several. Use one optimizer for all variables."
        )


def check_distribution(
    optimizer: keras.optimizers.Optimizer, jit_compile: bool | str, steps_per_execution: int
) -> None:
    """Raises for options that fail, or differ from one device, on several replicas."""
    replicas = num_replicas()
    if replicas == 1:
        return
    inner = inner_optimizers(optimizer)
    wrong = []
    for each in inner:
        names = ["gradient_accumulation_steps", *(CLIPPING if len(inner) > 1 else ())]
        names += ["ema_overwrite_frequency"] if each.use_ema else []
        wrong += [f"{name}={getattr(each, name)}" for name in names if getattr(each, name)]
    if jit_compile is True:
        wrong.append("jit_compile=True")
    if steps_per_execution > 1:
        wrong.append(f"steps_per_execution={steps_per_execution}")
    if wrong:
        raise ValueError(
            f"on {replicas} replicas {', '.join(wrong)} either fails in Keras or is applied on "
            "each replica apart, which differs from one device. Leave it out"
            + (", or use one optimizer for all variables." if len(inner) > 1 else ".")
        )


def check_normalization(network: keras.Model, balancer: Balancer, at: str, every: int) -> None:
    """Raises where batch normalization cannot see the global batch of several replicas."""
    replicas = num_replicas()
    found = normalizations(network)
    if replicas == 1 or not found:
        return
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
    if every > 1 and at == "parameters" and not isinstance(balancer, LossBalancer):
        raise ValueError(
            f"on {replicas} replicas every={every} passes over gradients in most steps, and "
            f"those of {found[0].name!r} need all replicas in each. Use every=1, "
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
    """The training data, if it and the validation data fit the tasks."""
    if class_weight is not None:
        raise ValueError(
            "Keras takes no class_weight for several outputs; use "
            "keras_mtl.data.class_weights(dataset, tasks, {task: {class: weight}})."
        )
    if isinstance(x, tf.data.Dataset):
        if steps_per_epoch is not None and x.cardinality() == tf.data.UNKNOWN_CARDINALITY:
            x = x.repeat()  # one that ends in mid-epoch corrupts the optimizer's state
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
    """The training data paired with batches to balance on, for a balancer that needs them."""
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
    """Checks arrays as one batch of a dataset."""
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(
                f"{name} must be a dictionary by task with the keys "
                f"{[task.name for task in tasks]}; received {type(value).__name__}. Keras would "
                "bind a list to the tasks in alphabetical order."
            )
    parts = (x, y) if sample_weight is None else (x, y, sample_weight)
    data.check_dataset(tf.data.Dataset.from_tensors(parts), tasks)
