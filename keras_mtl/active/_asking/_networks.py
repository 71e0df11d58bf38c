"""Predictions for rows: with dropout, or without."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._keras_internals import is_functional, mask_of, nested_layers
from keras_mtl._tasks import Task
from keras_mtl.data._inputs._missing_path import MissingPath
from keras_mtl.training import BalancedModel
from keras_mtl.training._frontier import named_outputs
from keras_mtl.training._quiet_tracing import quiet_tracing

Outputs: TypeAlias = dict[str, Any]
Predict: TypeAlias = Callable[[Any], Outputs]


def read_outputs(network: Any, tasks: Sequence[Task]) -> tuple[keras.Model, dict[str, Any]]:
    """Returns the functional network, and its symbolic outputs by task.

    Raises:
        TypeError: If it does not show its graph.
        ValueError: If a task has no output.
    """
    if isinstance(network, BalancedModel):
        network = network.network
    if not is_functional(network):
        raise TypeError(
            "network must be a functional keras.Model, made of keras.Input tensors, or the "
            f"BalancedModel of one; received {network!r}. For predictions of anything else, "
            "call active.margin, active.entropy or active.bald, and pass the results to "
            "active.choose or Pool.pick."
        )
    outputs = named_outputs(network)
    absent = [task.name for task in tasks if task.name not in outputs]
    if absent:
        raise ValueError(
            f"the network has no output for the task {absent[0]!r}; it has {sorted(outputs)}."
        )
    return network, {task.name: outputs[task.name] for task in tasks}


class Batches:
    """Yields batches of inputs, as often as it is asked for them, and refuses what is not finite.

    A relu hides NaN, so that a network may answer for a row of which it knows nothing.

    Args:
        network: The functional network that reads them; it may fill gaps itself.
        rows: Inputs as arrays in the structure that the network takes; or a batched dataset of
            them, whose labels, if it has any, are not read.
        batch_size: The number of rows per batch of arrays.

    Raises:
        ValueError: If there are no rows, or arrays of different lengths; or by iteration, if an
            input is NaN or infinite.
    """

    def __init__(self, network: keras.Model, rows: Any, batch_size: int) -> None:
        self._missing = MissingPath(network)
        if isinstance(rows, tf.data.Dataset):
            # Labels stand behind the inputs, as in fit.
            self._batches = rows.map(
                lambda *element: (keras.utils.unpack_x_y_sample_weight(element)[0],)
            )
            return
        # tf.data takes a list for one tensor.
        rows = tuple(rows) if isinstance(rows, list) else rows
        num_rows(rows)
        self._batches = tf.data.Dataset.from_tensor_slices((rows,)).batch(batch_size)

    def __iter__(self) -> Iterator[Any]:
        """Yields the inputs of each batch."""
        for number, (inputs,) in enumerate(self._batches):
            self._missing.check(inputs, f"of batch {number}")
            yield inputs


def num_rows(inputs: Any) -> int:
    """Returns the number of rows of arrays in any structure.

    Raises:
        ValueError: If there are no rows, or arrays of different lengths.
    """
    leaves = tf.nest.flatten(tuple(inputs) if isinstance(inputs, list) else inputs)
    lengths = {len(leaf) for leaf in leaves if hasattr(leaf, "__len__")}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "inputs must be arrays with one entry per row, and at least one row; received arrays "
            f"of the lengths {sorted(lengths)}."
        )
    return lengths.pop()


def predictor(network: keras.Model, outputs: dict[str, Any]) -> Predict:
    """Returns the function that predicts some tensors of a network for a batch.

    Its results have their masks beside them, as `"<name>/mask"`: a `tf.function` drops what hangs
    on a tensor.
    """
    part = keras.Model(network.input, outputs)

    def predict(inputs: Any) -> Outputs:
        return _with_masks(part(inputs, training=False))

    return _in_graph(predict)


def _with_masks(outputs: Mapping[str, Any]) -> Outputs:
    masks = {f"{name}/mask": mask_of(output) for name, output in outputs.items()}
    return {**outputs, **{name: mask for name, mask in masks.items() if mask is not None}}


def _in_graph(function: Callable[..., Outputs]) -> Callable[..., Outputs]:
    """Returns a function that is traced, without a warning of TensorFlow."""
    traced = tf.function(function, reduce_retracing=True)

    def call(*arguments: Any) -> Outputs:
        with quiet_tracing():
            outputs: Outputs = traced(*arguments)
        return outputs

    return call


def drawer(
    network: keras.Model, names: Sequence[str], draws: int, seed: int
) -> Callable[[Any, int], Iterator[Outputs]]:
    """Returns the function that predicts a batch several times, with other dropped units each time.

    It works on a copy, in training mode, except for batch normalization: the statistics of the
    batch would make the prediction of a row depend on its neighbors. Nothing of the network
    changes, and the draws depend on the seed, the batch and the draw alone.

    Args:
        network: The network.
        names: The outputs.
        draws: How many times.
        seed: The seed.
    """
    copied = keras.models.clone_model(network)
    copied.set_weights(network.get_weights())
    for layer in nested_layers(copied):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # Keras's way to say: use the moving averages
    part = keras.Model(copied.input, {name: named_outputs(copied)[name] for name in names})
    states = [v for v in part.non_trainable_variables if v.name.endswith("seed_generator_state")]

    def predict(inputs: Any, seeds: Any) -> Outputs:
        values = [
            (state, tf.cast(tf.stack([seeds[i], 0]), state.dtype)) for i, state in enumerate(states)
        ]
        # The scope drops what layers assign in training mode.
        with keras.StatelessScope(state_mapping=values):
            return _with_masks(part(inputs, training=True))

    predict_in_graph = _in_graph(predict)

    def draw(inputs: Any, batch: int) -> Iterator[Outputs]:
        for i in range(draws):
            sequence = np.random.SeedSequence([seed, batch, i])
            seeds = sequence.generate_state(max(len(states), 1)) >> 1  # below 2^31
            yield predict_in_graph(inputs, tf.constant(seeds.astype("int64")))

    return draw
