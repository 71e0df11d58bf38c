"""The values of all variables of a training."""

import keras
import tensorflow as tf

from keras_mtl.training._backup._state_file import variables_of


class Snapshot:
    """Holds the values that all variables of a training have when it is made.

    These are the variables of the network with its averages and seeds, of the balancer, the
    optimizer, the hook, what the model keeps between steps, and the metrics.

    Args:
        model: A compiled `BalancedModel`.
    """

    def __init__(self, model: keras.Model) -> None:
        kept, of_metrics = variables_of(model)
        self._variables = [*kept, *of_metrics]
        # `tf.identity` keeps the value when the variable is assigned.
        self._values = [tf.identity(variable.value) for variable in self._variables]

    def restore(self) -> None:
        """Gives all variables their values back, to the last bit."""
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)
