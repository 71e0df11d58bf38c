"""Batches of a dataset, checked as `fit` checks them, and the tasks of a model."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._check_dataset import check_structure, check_values
from keras_mtl.data._elements._element import read_element
from keras_mtl.data._inputs._missing_path import MissingPath
from keras_mtl.data._inputs._readable_inputs import check_input_names
from keras_mtl.training._balanced_model import BalancedModel
from keras_mtl.training._checks import check_outputs

Element: TypeAlias = tuple[Any, dict[str, Any], dict[str, Any]]
"""Inputs, labels by task, and sample weights by task, which may be empty."""


def network_of(model: keras.Model, tasks: Sequence[Task]) -> keras.Model:
    """Returns the network of a model whose outputs are exactly the tasks.

    Raises:
        TypeError: If the model is no Keras model.
        ValueError: If the network is not functional, or its outputs are not the tasks.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"model is a {type(model).__name__}; expected a BalancedModel or a functional "
            "keras.Model."
        )
    network = model.network if isinstance(model, BalancedModel) else model
    check_outputs(network, tasks)
    return network


def loss_names(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Returns the names of the K losses: the tasks, or the columns of a task that has some."""
    return tuple(name for task in tasks for name in task.loss_names)


def check_several(tasks: Sequence[Task], purpose: str) -> tuple[Task, ...]:
    """Checks that there are at least two losses to compare.

    Raises:
        ValueError: If there is a single one; the message names it.
    """
    tasks = check_tasks(tasks)
    names = loss_names(tasks)
    if len(names) < 2:
        raise ValueError(
            f"{purpose} compares tasks with each other; received the single task {names[0]!r}. "
            "Leave it out for a network of one task: there is nothing that it could share."
        )
    return tasks


def read_batches(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    network: keras.Model,
    num_batches: int | None = None,
) -> Iterator[Element]:
    """Yields the batches of a dataset, after the checks that `fit` makes.

    Args:
        dataset: The dataset.
        tasks: The tasks.
        network: The network.
        num_batches: The largest number of batches; `None` for all.

    Raises:
        TypeError: If it is no dataset of `(x, y)` or `(x, y, w)` with dicts by task.
        ValueError: If there is no batch, their number is infinite, or labels or inputs do not fit;
            the message names the task or the input.
    """
    check_structure(dataset, tasks)
    check_input_names(network, dataset.element_spec[0])
    if num_batches is None and dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the dataset is infinite; pass steps, the number of measurements.")
    if dataset.cardinality() == 0:
        raise ValueError("the dataset is empty; expected at least one batch.")
    weighted = read_element(dataset, tasks).weighted
    missing = MissingPath(network)
    for number, element in enumerate(itertools.islice(dataset, num_batches)):
        x, labels, weights = (*element, None)[:3] if weighted else (*element[:2], None)
        check_values(tasks, labels, weights)
        missing.check(x, f"of batch {number}")
        yield x, dict(labels), dict(weights or {})


def read_pairs(
    dataset: tf.data.Dataset, tasks: Sequence[Task], network: keras.Model, steps: int | None
) -> Iterator[tuple[Element, Element]]:
    """Yields pairs of batches that follow each other; a last batch without a partner is left out.

    Args:
        dataset: The dataset.
        tasks: The tasks.
        network: The network.
        steps: The largest number of pairs; `None` for all.

    Raises:
        TypeError: As `read_batches`.
        ValueError: If there is no pair, or as `read_batches`.
    """
    batches = read_batches(dataset, tasks, network, None if steps is None else 2 * steps)
    pairs = zip(batches, batches, strict=False)
    first = next(pairs, None)
    if first is None:
        raise ValueError(
            "the dataset has fewer than two batches; expected at least two, whose gradients have "
            "independent noise. Make smaller batches: dataset.unbatch().batch(batch_size)."
        )
    yield first
    yield from pairs
