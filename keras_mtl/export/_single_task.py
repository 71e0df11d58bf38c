"""A network with some of its tasks alone."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import is_functional
from keras_mtl._tasks import Task
from keras_mtl.export._cutting import cut_model
from keras_mtl.training import BalancedModel


def single_task(network: keras.Model, tasks: str | Task | Sequence[str | Task]) -> keras.Model:
    """Cuts one task, or several, out of a network that predicts more.

    Whatever no kept task needs is left out: inputs, layers, and branches of the layers that compute
    several at once. `Towers` keep the towers of the kept tasks, and experts that no kept gate can
    reach are dropped. Layers that truly mix tasks (`CrossStitch`, `NDDR`, `TaskRelations`) are kept
    whole, with all that they read.

    Predictions are those of the network, and so are the gradients of the kept tasks, up to
    rounding. Three things differ in further training: random layers that are narrowed
    (`SubNetworkRouting`, `Branching`, `SelectOrSkip`) draw other numbers, penalties on dropped
    branches are gone, and a batch normalization that several tasks called (in `mtan`) sees the
    features of the kept ones alone.

    Choose it to serve one task where memory or time counts: a signature of `export.saved_model`
    skips the work of other tasks, but not their bytes. Do not choose it where most tasks are asked
    for together: the whole network computes what they share once. `export.harden` and
    `export.merge` make a network with learned branches, or with low-rank updates, smaller still;
    call them after it. `export.footprint` shows what was gained.

    Args:
        network: A functional network whose outputs are a dict by task, or the `BalancedModel` that
            trains one. Its layers may be your own. One with an axis of branches, the second to last
            of its output, is narrowed if it has an attribute `branched_inputs`, the positions of
            those inputs that have the same branches there (`()` if none has), and a method
            `narrow(indices)` that returns a built layer with these branches, as
            `layers.ParallelDense` has. Otherwise it is kept whole.
        tasks: The names of the tasks to keep, or the tasks; one alone need not be in a list.

    Returns:
        A functional `keras.Model`, whose outputs are a dict by task in the order of `tasks`. Its
        inputs keep their names and the structure (a dict, a list) that they had; those that no kept
        task reads are missing. Layers keep their names, tables, seeds, dtypes and what of them is
        frozen. Its variables are copies. It is not compiled: the losses and the optimizer were
        those of all tasks.

    Raises:
        TypeError: If the network is no functional model, or its outputs are not a dict.
        ValueError: If there is no task, a task is no output of the network or is named twice, or
            a layer cannot be copied.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary(f"assay_{i}") for i in range(8)]
        >>> network = mtl.architectures.hard_sharing(keras.Input((5,)), tasks, tower=(16,))
        >>> alone = single_task(network, "assay_3")
        >>> [output.shape for output in alone.output.values()]
        [(None, 1)]
        >>> tuple(network.get_layer("towers_0").kernels[0].shape)  # towers, in, units
        (8, 64, 16)
        >>> tuple(alone.get_layer("towers_0").kernels[0].shape)
        (1, 64, 16)
    """
    if isinstance(network, BalancedModel):
        network = network.network
    outputs = _read_outputs(network)
    names = _read_names(tasks, outputs)
    return cut_model(network, {name: outputs[name] for name in names})


def _read_outputs(network: Any) -> dict[str, Any]:
    """Returns the outputs of a network by task.

    Raises:
        TypeError: If it does not show its graph, or they are no dict.
    """
    if not is_functional(network):
        raise TypeError(
            "network must be a functional keras.Model, made of keras.Input tensors, or the "
            f"BalancedModel of one; received {network!r}, whose graph cannot be cut."
        )
    outputs = network.output
    if not isinstance(outputs, dict) or not all(
        isinstance(output, keras.KerasTensor) for output in outputs.values()
    ):
        raise TypeError(
            "the outputs of the network must be a dict from task name to prediction, so that a "
            f"task can be found: keras.Model(inputs, {{name: output, ...}}); received {outputs!r}."
        )
    return outputs


def _read_names(tasks: Any, outputs: dict[str, Any]) -> list[str]:
    """Returns the names of the tasks to keep.

    Raises:
        ValueError: If they are not some of the outputs.
    """
    listed = [tasks] if isinstance(tasks, str | Task) else list(tasks)
    names = [task.name if isinstance(task, Task) else task for task in listed]
    unknown = [name for name in names if name not in outputs]
    if unknown or not names or len(set(names)) < len(names):
        raise ValueError(
            f"tasks must be some of the outputs of the network, {list(outputs)}, at least one and "
            f"each once; received {names}"
            + (f", where {unknown} are no outputs." if unknown else ".")
        )
    return names
