"""The hook that appends moved rows, whatever moves them."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.data._elements._numbers import read_number
from keras_mtl.training._batch_hook import BatchHook, Rows

Forward: TypeAlias = Callable[[Any], dict[str, Tensor]]


class MovedRows(BatchHook, abc.ABC):
    """Appends to each batch of training its rows, each moved by a step of its own.

    Args:
        epsilon: The length of the step, in the unit of the input; above 0.
        tasks: The names of the tasks that tell the direction; `None`: all that can.
        on: The name of the input that is moved; `None`: the only one.
        alpha: How much moved rows count beside the others; above 0.
        clip: The lowest and the highest value of the input; `None`: no limits.
        name: Its name.
    """

    def __init__(
        self,
        epsilon: float,
        *,
        tasks: Sequence[str] | None,
        on: str | None,
        alpha: float,
        clip: tuple[float, float] | None,
        name: str | None,
    ) -> None:
        super().__init__(name=name)
        if isinstance(tasks, str):
            raise ValueError(f"{self.name!r}: tasks must be a list of names; received {tasks!r}.")
        self.epsilon = read_number(epsilon, f"{self.name!r}: epsilon is", low=0, above=True)
        self.alpha = read_number(alpha, f"{self.name!r}: alpha is", low=0, above=True)
        self.clip = None if clip is None else _read_clip(clip, self.name)
        self.on = on
        self._task_names = None if tasks is None else list(tasks)
        self._tasks: tuple[Task, ...] = ()
        self._position = 0

    def bind(self, network: keras.Model, tasks: Sequence[Task]) -> None:
        """Finds the input and the tasks, and checks them."""
        super().bind(network, tasks)
        self._position = self._find_input(network)
        names = [task.name for task in tasks]
        unknown = sorted({*(self._task_names or ())} - {*names})
        if unknown:
            raise ValueError(f"{self.name!r}: {unknown} are no tasks; the model has {names}.")
        self._tasks = tuple(
            t for t in tasks if self._task_names is None or t.name in self._task_names
        )

    def _find_input(self, network: keras.Model) -> int:
        """Returns the position of the input that is moved, among all in their flat order."""
        structure = network.input
        named = (
            dict(structure)
            if isinstance(structure, Mapping)
            else {tensor.name: tensor for tensor in network.inputs}
        )
        if self.on is None and len(named) > 1:
            raise ValueError(f"{self.name!r}: on must name one of the inputs {sorted(named)}.")
        if self.on is not None and self.on not in named:
            raise ValueError(f"{self.name!r}: on is {self.on!r}; expected one of {sorted(named)}.")
        tensor = next(iter(named.values())) if self.on is None else named[self.on]
        if not keras.backend.is_float_dtype(tensor.dtype):
            raise ValueError(
                f"{self.name!r}: the input {tensor.name!r} is of {tensor.dtype}, which no small "
                "step can move. Add an input of zeros behind its embedding, and name that in on=."
            )
        flat = [id(leaf) for leaf in keras.tree.flatten(structure)]
        return flat.index(id(tensor))

    @abc.abstractmethod
    def step(
        self,
        forward: Forward,
        x: Tensor,
        labels: dict[str, Tensor],
        sample_weights: dict[str, Tensor],
        seed: Tensor,
    ) -> Tensor:
        """Returns the step of each row, of the shape of `x`.

        Args:
            forward: Returns the outputs by task, for values of the input that is moved.
            x: The input, in float32.
            labels: The labels of all tasks.
            sample_weights: The sample weights of all tasks.
            seed: An int32 `[2]`.
        """

    def prepare(
        self,
        forward: Forward,
        inputs: Any,
        labels: dict[str, Tensor],
        sample_weights: dict[str, Tensor],
        seed: Tensor,
    ) -> Rows:
        """Returns twice as many rows."""

        def outputs_at(x: Tensor) -> dict[str, Tensor]:
            return forward(self._replaced(inputs, x))

        x = tf.cast(self._read(inputs), tf.float32)
        step = self.step(outputs_at, x, labels, sample_weights, seed)
        moved = self._replaced(inputs, self.moved(x, step))

        def twice(first: Tensor, second: Tensor) -> Tensor:
            return tf.concat([first, tf.cast(second, first.dtype)], 0)

        return (
            keras.tree.map_structure(twice, inputs, moved),
            {name: twice(label, label) for name, label in labels.items()},
            {name: twice(w, self.share * w) for name, w in sample_weights.items()},
        )

    @property
    def share(self) -> float:
        """The factor of the sample weights of moved rows."""
        return self.alpha

    def moved(self, x: Tensor, step: Tensor) -> Tensor:
        """Returns rows that are moved, within the limits of the input."""
        return x + step if self.clip is None else tf.clip_by_value(x + step, *self.clip)

    def _read(self, inputs: Any) -> Tensor:
        flat = keras.tree.flatten(inputs)
        is_named = isinstance(inputs, Mapping) and self.on in inputs
        return inputs[self.on] if is_named else flat[self._position]

    def _replaced(self, inputs: Any, value: Tensor) -> Any:
        if isinstance(inputs, Mapping) and self.on in inputs:
            return {**inputs, self.on: value}
        flat = list(keras.tree.flatten(inputs))
        flat[self._position] = value
        return keras.tree.pack_sequence_as(inputs, flat)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal hook."""
        return {
            "epsilon": self.epsilon,
            "tasks": self._task_names,
            "on": self.on,
            "alpha": self.alpha,
            "clip": self.clip,
            "name": self.name,
        }


def gradient_of(goal: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Returns the gradient of a scalar, 0 where nothing reaches it."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = goal(x)
    return tape.gradient(value, x, unconnected_gradients="zero")


def _read_clip(clip: Any, name: str) -> tuple[float, float]:
    if isinstance(clip, str) or len(clip) != 2 or not clip[0] < clip[1]:
        raise ValueError(f"{name!r}: clip must be (lowest, highest); received {clip!r}.")
    low, high = (read_number(number, f"{name!r}: clip has") for number in clip)
    return low, high
