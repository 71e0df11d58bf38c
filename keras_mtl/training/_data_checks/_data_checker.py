"""The door through which all data of a model come."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import ChangedAdapter
from keras_mtl._tasks import Task
from keras_mtl.balancers import Balancer
from keras_mtl.data._check_arrays import ArrayCheck, rows_of
from keras_mtl.data._check_dataset import check_cardinality, check_structure
from keras_mtl.data._inputs._missing_path import MissingPath
from keras_mtl.data._inputs._readable_inputs import check_input_names, check_readable
from keras_mtl.training._data_checks._checked_stream import checked_stream
from keras_mtl.training._data_checks._sharding import check_sharding
from keras_mtl.training._data_checks._streams import (
    is_distributed,
    is_stream,
    kind_of,
    make_stream,
    refuse_arguments,
    with_end,
)


class DataChecker:
    """Checks whatever `fit`, `evaluate`, `predict` and their relatives receive.

    Arrays are looked at once, before the first step. Of streams (datasets, generators, loaders)
    the structure is looked at before the first step, and each batch when it comes.

    Args:
        network: The network.
        tasks: Its tasks.
    """

    def __init__(self, network: keras.Model, tasks: Sequence[Task]) -> None:
        self.check_inputs = True
        self._tasks = tasks
        self._labels = ArrayCheck(tasks)
        self._network = network
        self._missing = MissingPath(network)
        self._refusal: Exception | None = None

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """Raises the error of a batch as it is, not as TensorFlow's with the stack of its graph.

        See docs/keras_notes.md, pain 120.
        """
        self._refusal = None
        try:
            yield
        except tf.errors.OpError:
            if self._refusal is None:
                raise
            raise self._refusal from None

    def check_arrays(self, x: Any, y: Any, sample_weight: Any = None) -> None:
        """Checks inputs, labels and weights that are arrays: all data, or one batch.

        Raises:
            ValueError: If they do not fit the tasks, Keras cannot read them, or inputs are not
                finite.
        """
        self._check_structure_of(x)
        self._labels(y, sample_weight, rows_of(x))
        if self.check_inputs:
            self._missing.check(x)

    def check_rows(self, x: Any) -> None:
        """Checks inputs that are arrays, and come without labels."""
        self._check_structure_of(x)
        if self.check_inputs:
            self._missing.check(x)

    def _check_structure_of(self, x: Any) -> None:
        check_readable(x)
        check_input_names(self._network, x)

    def for_training(
        self, x: Any, y: Any, sample_weight: Any, steps: int | None, shuffle: bool
    ) -> Any:
        """Checks training data; returns the data that Keras gets instead of `x`."""
        if not is_stream(x):
            self.check_arrays(x, y, sample_weight)
            return x
        refuse_arguments(x, y=y, sample_weight=sample_weight)
        if is_distributed(x):
            return x
        check_sharding(x, "x", self._network.distribute_strategy)
        if not isinstance(x, tf.data.Dataset):
            return self._adapt(x, steps, "steps_per_epoch", shuffle=shuffle, with_updates=True)
        if steps is not None and x.cardinality() == tf.data.UNKNOWN_CARDINALITY:
            # Its end, in mid-epoch, would corrupt the optimizer (docs/keras_notes.md, F1).
            x = x.repeat()
        return self._checked_with_first(x, steps, "steps_per_epoch")

    def for_validation(self, data: Any, steps: int | None) -> Any:
        """Checks validation data; returns those to be used instead."""
        if data is None:
            return None
        if isinstance(data, tuple | list):
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            if is_stream(x):
                refuse_arguments(x, y=y, sample_weight=sample_weight)
                return self.for_validation(x, steps)
            self.check_arrays(x, y, sample_weight)
            return data
        if is_distributed(data):
            return data
        check_sharding(data, "validation_data", self._network.distribute_strategy)
        if not isinstance(data, tf.data.Dataset):
            return self._adapt(data, steps, "validation_steps")
        if steps is not None and data.cardinality() == tf.data.UNKNOWN_CARDINALITY:
            # If they end before, it is an error, not a smaller set of examples in this epoch.
            data = data.take(steps).apply(tf.data.experimental.assert_cardinality(steps))
        return self._checked_with_first(data, steps, "validation_steps")

    def for_evaluation(self, x: Any, y: Any, sample_weight: Any, steps: int | None) -> Any:
        """Checks the data of `evaluate`; returns those that Keras gets instead of `x`."""
        if not is_stream(x):
            self.check_arrays(x, y, sample_weight)
            return x
        refuse_arguments(x, y=y, sample_weight=sample_weight)
        if is_distributed(x):
            return x
        if not isinstance(x, tf.data.Dataset):
            return self._adapt(x, steps, None)
        if x.cardinality() != tf.data.UNKNOWN_CARDINALITY:
            check_cardinality(x, steps, "steps")
        return self._checked(x)

    def for_prediction(self, x: Any) -> Any:
        """Checks the inputs of `predict`; returns those that Keras gets instead of `x`."""
        if not is_stream(x):
            if rows_of(x) == 0:  # Keras's own error names a variable of its loop
                raise ValueError("there are no examples; expected at least one.")
            self.check_rows(x)
            return x
        if is_distributed(x):
            return x
        if isinstance(x, tf.data.Dataset):
            return self._checked(x, labeled=False)
        adapter, dataset = make_stream(x, lambda batch: None, self._remember)
        return ChangedAdapter(adapter, self._checked(dataset, labeled=False))

    def with_second_batches(self, x: Any, balance_data: Any, balancer: Balancer) -> Any:
        """Returns the training data, as pairs `(x, second batch)` if the balancer needs them."""
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
        second = self._checked_with_first(balance_data, 1, "steps_per_epoch")
        return tf.data.Dataset.zip(x, second.repeat())

    def _checked_with_first(
        self, dataset: tf.data.Dataset, steps: int | None, argument: str
    ) -> tf.data.Dataset:
        """Checks a dataset's structure and first batch; returns it with a check of all batches."""
        check_structure(dataset, self._tasks)
        check_cardinality(dataset, steps, argument)
        for batch in dataset.take(1):
            self._doubt(0, *(*batch, None)[:3])
            self._missing.learn(batch[0])
        return self._checked(dataset)

    def _checked(self, dataset: tf.data.Dataset, labeled: bool = True) -> tf.data.Dataset:
        """Checks a dataset's structure; returns it with a check of each batch."""
        if labeled:
            check_structure(dataset, self._tasks)
        spec = dataset.element_spec
        check_input_names(self._network, spec[0] if isinstance(spec, tuple) else spec)
        filled = self._missing.filled() if self.check_inputs else None
        return checked_stream(dataset, self._tasks, self._doubt, labeled=labeled, filled=filled)

    def _adapt(
        self,
        data: Any,
        steps: int | None,
        argument: str | None,
        *,
        shuffle: bool = False,
        with_updates: bool = False,
    ) -> Any:
        """Returns an adapter of a stream that is no dataset, which checks each batch.

        Args:
            data: The stream.
            steps: The number of steps, if it is set.
            argument: The argument that sets it; `None` if it may end wherever it does.
            shuffle: As in `fit`.
            with_updates: Whether the steps update variables, so that a step without data harms.
        """
        adapter, dataset = make_stream(data, self._check_batch, self._remember, shuffle)
        endless = adapter.num_batches is None
        if endless and steps is None and argument is not None:
            raise ValueError(
                f"the number of batches of a {kind_of(data)} is unknown: Keras would take a "
                f"broken step at its end. Pass {argument}, with one that does not end, or a "
                "tf.data.Dataset."
            )
        dataset = self._checked(dataset)
        if endless and with_updates:
            dataset = with_end(dataset, self._refuse_end)
        return ChangedAdapter(adapter, dataset, data)

    def _check_batch(self, batch: Any) -> None:
        """Checks the structure of a batch of arrays, and its values."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        self.check_arrays(x, y, sample_weight)

    def _doubt(self, number: int, x: Any, labels: Any, weights: Any) -> None:
        """Looks at a batch value by value, and remembers what is wrong with it.

        Args:
            number: The number of the batch; negative if it is unknown.
            x, labels, weights: Arrays.
        """
        batch = "its batch" if number < 0 else f"batch {number}"
        try:
            if labels:
                self._labels.check_values(labels, weights or {}, batch)
            if self.check_inputs:
                self._missing.check(x, f"of {batch}")
        except Exception as error:
            self._remember(error)
            raise

    def _remember(self, error: Exception) -> None:
        """Keeps the first error: batches are read ahead, so that others may follow it."""
        self._refusal = self._refusal or error

    def _refuse_end(self) -> None:
        # A batch that was refused ends the data, too: what was wrong with it is the reason.
        error = self._refusal or ValueError(
            "the data ended before the last step: with steps_per_epoch, pass a generator that "
            "does not end, or a tf.data.Dataset, which is repeated."
        )
        self._remember(error)
        raise error
