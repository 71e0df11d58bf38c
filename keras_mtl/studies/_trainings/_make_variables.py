"""A training whose variables are made before its first step."""

from typing import Any

import keras

from keras_mtl._keras_internals import make_step_variables


class MakeVariables(keras.callbacks.Callback):
    """Makes the variables that Keras makes in the first step, which is traced once then.

    Pass it last, so that it sees what other callbacks have frozen or thawed.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes the variables."""
        make_step_variables(self.model)
