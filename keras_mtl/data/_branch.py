"""Branches of a network for inputs that only some data sets have."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_mtl")
class Branch(keras.layers.Layer):
    """Runs a model on the rows that have its input, and gives zeros for the others.

    For a `mixture` of sets with different inputs, where what a set lacks is zero. A model that is
    applied to such zeros as well answers with its biases, learns from them, and averages them in
    its batch normalization; a branch sees the rows that there are and no others, and none of its
    variables changes in a step without any:

        image, text = keras.Input((64, 64, 3), name="image"), keras.Input((80,), name="text")
        features = keras.layers.Add()([Branch(image_model)(image), Branch(text_model)(text)])
        network = architectures.mmoe(features, tasks)

    Choose it where sets bring different kinds of input; where all sets have all inputs, call the
    model itself, which is a little faster.

    A row whose input is all zeros (or empty strings) counts as one without input. The number of
    rows varies from batch to batch, so XLA cannot compile the layer, and several replicas cannot
    have batch normalization inside it (take layer normalization there).

    Args:
        model: A `keras.Model` from one input to one tensor, `(batch, ...)`.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        inputs: What the model takes, `(batch, ...)`.
        training: Passed on to the model.

    Returns:
        What the model gives, zero for rows without input.

    Example:
        >>> dense = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")
        >>> branch = Branch(keras.Sequential([keras.Input((2,)), dense]))
        >>> branch(tf.constant([[0.0, 0.0], [2.0, 3.0]])).numpy().tolist()
        [[0.0], [6.0]]
    """

    def __init__(self, model: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.supports_jit = False
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Takes the rows out, and puts what the model gives back in their places."""
        inputs = tf.convert_to_tensor(inputs)
        absent = tf.constant("") if inputs.dtype == tf.string else tf.zeros((), inputs.dtype)
        there = tf.reduce_any(inputs != absent, axis=range(1, inputs.shape.rank))
        rows = tf.where(there)
        found = tf.gather_nd(inputs, rows)
        size = tf.shape(inputs, tf.int64)[:1]
        features = self.model.outputs[0].shape[1:]
        shape = tf.concat([size, tf.constant(features, tf.int64)], 0)
        dtype = tf.as_dtype(self.compute_output_spec(inputs).dtype)

        def run() -> tf.Tensor:
            given = self.model(found, training=training)
            return tf.scatter_nd(rows, tf.cast(given, dtype), shape)

        result = tf.cond(tf.size(rows) > 0, run, lambda: tf.zeros(shape, dtype))
        return tf.ensure_shape(result, (inputs.shape[0], *features))

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        """That of the model, with as many rows as there are inputs."""
        output = self.model.outputs[0]
        return keras.KerasTensor((inputs.shape[0], *output.shape[1:]), dtype=output.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Branch":
        """Makes the layer that `get_config` described."""
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("model")), **config)
