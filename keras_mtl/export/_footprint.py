"""What networks take: parameters, bytes, operations and time."""

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._keras_internals import is_functional
from keras_mtl.export._measuring import float_operations, time_in_turns
from keras_mtl.training import BalancedModel


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Says what a network takes.

    Attributes:
        parameters: The number of all entries of its variables.
        bytes: The bytes of its variables and of its graph, as a SavedModel holds them; without
            lookup tables.
        flops: Floating-point operations for one row, as TensorFlow's profiler counts them: a
            multiplication and an addition are two, and most activations are none. `None` if the
            graph has a loop, such as that of a recurrent layer, which the profiler counts once.
        milliseconds: The median time of a batch.

    Example:
        >>> import keras_mtl as mtl
        >>> x = keras.Input((3,))
        >>> network = keras.Model(x, {"price": keras.layers.Dense(1)(x)}, name="linear")
        >>> result = mtl.export.footprint(network, repeats=1)["linear"]
        >>> result.parameters, result.flops  # 3 products, their sum, and a bias
        (4, 7)
    """

    parameters: int
    bytes: int
    flops: int | None
    milliseconds: float


@dataclasses.dataclass(frozen=True)
class Footprints:
    """Holds what several networks take.

    `str` of it is a table in Markdown, in which each number also stands relative to the first row.

    Attributes:
        networks: The footprints, by label.
        batch_size: The rows of a batch, for the time.

    Example:
        >>> rows = {"all": Footprint(200, 900, None, 1.0), "one": Footprint(50, 300, 90, 0.5)}
        >>> print(Footprints(rows, batch_size=8))
        | network | parameters | bytes | FLOPs per row | ms per 8 rows |
        |---|---|---|---|---|
        | all | 200 | 900 | not counted | 1.00 |
        | one | 50 (0.25) | 300 (0.33) | 90 | 0.50 (0.50) |
    """

    networks: dict[str, Footprint]
    batch_size: int

    def __getitem__(self, label: str) -> Footprint:
        """Returns the footprint of a network."""
        return self.networks[label]

    def __str__(self) -> str:
        """Returns the table."""
        time = f"ms per {self.batch_size} rows"
        lines = [
            f"| network | parameters | bytes | FLOPs per row | {time} |",
            "|---|---|---|---|---|",
        ]
        first = next(iter(self.networks.values()))
        for label, footprint in self.networks.items():
            cells = [
                _cell(value, reference)
                for value, reference in zip(
                    dataclasses.astuple(footprint), dataclasses.astuple(first), strict=True
                )
            ]
            lines.append(f"| {label} | {' | '.join(cells)} |")
        return "\n".join(lines)


def footprint(
    networks: keras.Model | Mapping[str, keras.Model],
    *,
    batch_size: int = 256,
    repeats: int = 20,
    unknown_size: int = 32,
) -> Footprints:
    """Measures what networks take: parameters, bytes, operations and time.

    Choose it to see what `single_task`, `merge` or `harden` has gained, before and after side by
    side: the batches of all networks are timed in turns, so that another process on the machine
    slows all of them alike. The rows are zeros (and empty strings). Do not choose it for the time
    of a server, to which it is a lower bound.

    Args:
        networks: Functional networks by label, or one alone, whose label is its name. Also
            `BalancedModel`s, whose networks are measured.
        batch_size: The rows of a batch. Defaults to `256`.
        repeats: How many batches are timed. Defaults to `20`.
        unknown_size: What stands for axes of unknown size, such as the length of a sequence.
            Defaults to `32`.

    Returns:
        The `Footprints`: `result["label"].flops`, and `print(result)` for a table.

    Raises:
        TypeError: If a network is no functional model.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary(f"assay_{i}") for i in range(8)]
        >>> network = mtl.architectures.hard_sharing(
        ...     keras.Input((5,)), tasks, shared=(16,), tower=(8,)
        ... )
        >>> alone = mtl.export.single_task(network, "assay_3")
        >>> result = footprint({"all": network, "assay_3": alone}, batch_size=4, repeats=2)
        >>> result["all"].parameters, result["assay_3"].parameters
        (1256, 241)
        >>> result["assay_3"].flops  # 2 for each of 216 entries of kernels, and 25 of biases
        457
    """
    if isinstance(networks, keras.Model):
        networks = {networks.name: networks}
    models = {label: _plain(model) for label, model in networks.items()}
    runs = {}
    for label, model in models.items():
        function = tf.function(model, autograph=False)
        rows = _rows(model, batch_size, unknown_size)
        runs[label] = lambda function=function, rows=rows: function(rows, training=False)
    times = time_in_turns(runs, repeats)
    return Footprints(
        {
            label: _measure(model, statistics.median(times[label]), unknown_size)
            for label, model in models.items()
        },
        batch_size,
    )


def _plain(model: Any) -> keras.Model:
    """Returns the network of a model.

    Raises:
        TypeError: If it is no functional one.
    """
    network = model.network if isinstance(model, BalancedModel) else model
    if not is_functional(network):
        raise TypeError(
            "networks must be functional keras.Models, made of keras.Input tensors, or a dict of "
            f"these by label; received {model!r}."
        )
    return network


def _measure(model: keras.Model, seconds: float, unknown_size: int) -> Footprint:
    rows = _rows(model, 1, unknown_size)
    graph = tf.function(model, autograph=False).get_concrete_function(rows, training=False).graph
    sizes = [np.prod(v.shape, dtype=int) * tf.as_dtype(v.dtype).size for v in model.variables]
    return Footprint(
        parameters=model.count_params(),
        bytes=int(sum(sizes)) + graph.as_graph_def().ByteSize(),
        flops=float_operations(graph),
        milliseconds=1e3 * seconds,
    )


def _rows(model: keras.Model, batch_size: int, unknown_size: int) -> Any:
    """Returns rows of zeros, or of empty strings, for the inputs of a model."""

    def zeros(tensor: Any) -> tf.Tensor:
        shape = [batch_size, *(size or unknown_size for size in tensor.shape[1:])]
        if tensor.dtype == "string":
            return tf.fill(shape, "")
        return tf.zeros(shape, tensor.dtype)

    return keras.tree.map_structure(zeros, model.input)


def _cell(value: float | None, reference: float | None) -> str:
    """Returns a number, and its share of that of the first network."""
    if value is None:
        return "not counted"
    text = f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
    return text if reference in (None, value) else f"{text} ({value / reference:.2f})"
