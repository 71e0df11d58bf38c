"""Which entry of which output a rule means by a name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_mtl._keras_internals import has_parameters, logits_of, scale_of
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor

_TINY = 1e-37  # the smallest power of ten that half a dozen operations in float32 do not make 0


class Place(NamedTuple):
    """Holds the task whose output is meant, and the entry of its last axis.

    Attributes:
        task: The name of the task.
        entry: Its position: of a column, or of a class.
        is_class: Whether the entries of the output are one distribution.
    """

    task: str
    entry: int
    is_class: bool = False


class Chance(NamedTuple):
    """Holds the logarithms of a probability and of its complement, `[rows]` each."""

    yes: Tensor
    no: Tensor


def read_place(reference: str, tasks: Sequence[Task], rule: str, probability: bool) -> Place:
    """Returns the place of a reference: `task`, `task.column` or `task.2`, which is class 2.

    Args:
        reference: The text.
        tasks: The tasks.
        rule: The name of the rule, for messages.
        probability: Whether the rule is one on probabilities.

    Raises:
        ValueError: If there is no such task or entry, or it has no probability where one is due.
    """
    by_name = {task.name: task for task in tasks}
    name, rest = reference, ""
    while name not in by_name and "." in name:  # names of tasks may hold dots, too
        name, _, last = name.rpartition(".")
        rest = f"{last}.{rest}" if rest else last
    if name not in by_name:
        raise ValueError(
            f"rule {rule!r}: {reference!r} is no task of the network; expected one of "
            f"{list(by_name)}, or 'task.column' or 'task.2' for an entry."
        )
    task = by_name[name]
    output = task.described()
    is_class = output.kind in ("class", "one-hot", "distribution")
    if output.logits or not (is_class or output.kind in ("yes or no", "number")):
        raise ValueError(
            f"rule {rule!r}: the output of task {name!r} is of the kind {output.kind!r}"
            + (", as logits" if output.logits else "")
            + "; a rule reads probabilities or numbers. Give the task a head with an activation."
        )
    if probability and output.kind == "number":
        raise ValueError(
            f"rule {rule!r}: task {name!r} predicts a number, and the rule holds between "
            "probabilities. Use rules.ordered or rules.sums for numbers."
        )
    return Place(name, _index_of(task, rest, output.width, reference, rule), is_class)


def _index_of(task: Task, rest: str, width: int | None, reference: str, rule: str) -> int:
    """Returns the entry that is meant.

    Raises:
        ValueError: If it is none, or one must be named.
    """
    columns = [] if task.columns is None else [str(column) for column in task.columns]
    if rest in columns:
        return columns.index(rest)
    size = len(columns) or width or 1
    entries = columns if columns else list(range(size))
    if not rest and size == 1:
        return 0
    if not rest.isdigit() or int(rest) >= size or columns:
        raise ValueError(
            f"rule {rule!r}: {reference!r} names no entry of task {task.name!r}; its output has "
            f"{size} entries, {entries[:8]}{'...' if size > 8 else ''}: write '{task.name}."
            f"{entries[0]}'."
        )
    return int(rest)


def value_at(place: Place, outputs: Mapping[str, Tensor]) -> Tensor:
    """Returns the entry of an output, `[rows]`.

    Raises:
        ValueError: If the output has further axes.
    """
    output = outputs[place.task]
    if len(output.shape) == 1:
        return output
    if len(output.shape) > 2:
        raise ValueError(
            f"task {place.task!r}: a rule reads one number per row and entry, and the output has "
            f"the shape {tuple(output.shape)}."
        )
    return output[:, place.entry]


def chance_at(place: Place, outputs: Mapping[str, Tensor]) -> Chance:
    """Returns the logarithms of the probability of an entry, `[rows]`, and of its complement.

    From the logits, if Keras knows them: a probability near 0 or 1 has lost its digits, and its
    gradient with them, just where a rule is broken most.
    """
    output = outputs[place.task]
    logits = None if has_parameters(output) or scale_of(output) else logits_of(output)
    if logits is None or tuple(logits.shape) != tuple(output.shape):
        probability = value_at(place, outputs)
        return Chance(
            ops.log(ops.maximum(probability, _TINY)), ops.log(ops.maximum(1.0 - probability, _TINY))
        )
    logits = ops.cast(logits, "float32")
    logit = value_at(place, {place.task: logits})
    if not place.is_class:
        return Chance(ops.log_sigmoid(logit), ops.log_sigmoid(-logit))
    total = ops.logsumexp(logits, axis=-1)
    is_place = ops.arange(logits.shape[-1]) == place.entry
    rest = ops.logsumexp(ops.where(is_place, -1e30, logits), axis=-1)
    return Chance(logit - total, rest - total)


def replaced(output: Tensor, indices: Sequence[int], values: Sequence[Tensor]) -> Tensor:
    """Returns an output, `[rows, entries]`, with other values for some entries."""
    for index, value in zip(indices, values, strict=True):
        is_place = ops.arange(output.shape[-1]) == index
        output = ops.where(is_place, value[:, None], output)
    return output


def check_symbols(network: keras.Model, places: Sequence[Place], rule: str) -> None:
    """Checks that a network has the outputs that a rule reads.

    Raises:
        ValueError: If one is missing.
    """
    outputs: Any = network.output
    missing = sorted({place.task for place in places} - {*outputs})
    if missing:
        raise ValueError(
            f"rule {rule!r} reads the tasks {missing}, which the network {network.name!r} does not "
            f"predict; it predicts {sorted(outputs)}."
        )
