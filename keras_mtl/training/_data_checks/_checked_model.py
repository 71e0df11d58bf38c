"""The methods of a model that receive data, behind one door."""

from typing import Any

import keras
import tensorflow as tf

from keras_mtl.balancers import Balancer
from keras_mtl.training._backup._resuming import resuming, with_known_order
from keras_mtl.training._data_checks._data_checker import DataChecker
from keras_mtl.training._data_checks._streams import is_stream
from keras_mtl.training._reports import ReportingModel


class CheckedModel(ReportingModel):
    """Checks all data that it receives, before Keras does anything with them.

    A subclass sets `_data` and `balancer` in its constructor.
    """

    _data: DataChecker
    balancer: Balancer

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        *,
        balance_data: tf.data.Dataset | None = None,
    ) -> keras.callbacks.History:
        """Checks the data, and trains as `keras.Model.fit` does.

        Whatever Keras takes is checked in the same way. Arrays are looked at once. Of streams, the
        structure is looked at before the first step, and each batch when it comes: a label that is
        out of range or NaN, or an input that is not finite, ends training with an error that names
        it, in whatever batch it is.

        Args:
            x: A `tf.data.Dataset`, a `keras.utils.PyDataset` or a generator of `(x, y)` or
                `(x, y, weights)` with `y` and `weights` dictionaries by task; or arrays, also in
                lists and dictionaries, SciPy's sparse matrices, or frames of pandas. A dataset that
                `tf.distribute` has dealt out already is taken as it is; check it with
                `data.check_dataset` before.
            y, sample_weight: Labels and weights by task, arrays, if `x` is no stream. Both have
                exactly the tasks as keys.
            validation_data: A stream like `x`, or a tuple of arrays.
            shuffle: As in Keras; a dataset or a generator keeps its own order.
            class_weight: Not taken; see `keras_mtl.data.class_weights`.
            steps_per_epoch: As in Keras; with it, a dataset of unknown length is repeated.
            validation_steps: As in Keras; a dataset of unknown length has to have so many batches.
            balance_data: A dataset like `x`, of other examples, for balancers that look at a
                second batch in each step (`needs.second_batch`); it is repeated as needed. Not
                the data on which the result is judged.
            batch_size, epochs, verbose, callbacks, validation_split, initial_epoch,
                validation_batch_size, validation_freq: As in Keras.

        Returns:
            The Keras history.

        Raises:
            ValueError: If the data does not fit the tasks, or if the number of batches of a
                dataset is unknown: Keras would update the optimizer once too often per epoch
                (docs/keras_notes.md, F1).
        """
        # docs/keras_notes.md, pain 18; keras#20701
        if class_weight is not None:
            raise ValueError(_NO_CLASS_WEIGHT)
        x, shuffle = with_known_order(x, callbacks, shuffle)
        x = self._data.for_training(x, y, sample_weight, steps_per_epoch, shuffle)
        validation_data = self._data.for_validation(validation_data, validation_steps)
        x = self._data.with_second_batches(x, balance_data, self.balancer)
        validated = validation_data is not None or bool(validation_split)
        self.check_logs(validated=validated, validation_freq=validation_freq)
        arguments = {
            "x": x,
            "y": y,
            "batch_size": batch_size,
            "epochs": epochs,
            "verbose": verbose,
            "callbacks": callbacks,
            "validation_split": validation_split,
            "validation_data": validation_data,
            # Keras warns of its own default for a dataset (docs/keras_notes.md, pain 76).
            "shuffle": False if is_stream(x) else shuffle,
            "sample_weight": sample_weight,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps_per_epoch,
            "validation_steps": validation_steps,
            "validation_batch_size": validation_batch_size,
            "validation_freq": validation_freq,
        }
        with self._data.refusals(), resuming(self, arguments) as changed:
            return super().fit(**changed)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,  # better True: docs/keras_notes.md, pain 22; keras#20244
        **kwargs: Any,
    ) -> Any:
        """Checks the data as `fit` does, and evaluates as Keras does.

        Ask for `return_dict=True`: a list has an order of its own.
        """
        # In `fit`, the validation data have been checked already.
        if not kwargs.get("_use_cached_eval_dataset"):
            x = self._data.for_evaluation(x, y, sample_weight, steps)
        with self._evaluation(), self._data.refusals():
            return super().evaluate(
                x,
                y,
                batch_size=batch_size,
                verbose=verbose,
                sample_weight=sample_weight,
                steps=steps,
                callbacks=callbacks,
                return_dict=return_dict,
                **kwargs,
            )

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Checks that inputs are finite, and predicts as Keras does."""
        x = self._data.for_prediction(x)
        with self._data.refusals():
            return super().predict(
                x, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
            )

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Checks a batch of arrays as `fit` does, and takes one step."""
        if class_weight is not None:
            raise ValueError(_NO_CLASS_WEIGHT)
        self._data.check_arrays(x, y, sample_weight)
        return super().train_on_batch(x, y, sample_weight=sample_weight, return_dict=return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Checks a batch of arrays as `fit` does, and evaluates it."""
        self._data.check_arrays(x, y, sample_weight)
        return super().test_on_batch(x, y, sample_weight=sample_weight, return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Checks that a batch of inputs is finite, and predicts."""
        self._data.check_rows(x)
        return super().predict_on_batch(x)


_NO_CLASS_WEIGHT = (
    "Keras takes no class_weight for several outputs; use keras_mtl.data.class_weights(dataset, "
    "tasks, {task: {class: weight}})."
)
