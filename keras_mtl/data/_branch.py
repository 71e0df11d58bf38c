"""Branches of a network for inputs that only some data sets have."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_mtl")
class Branch(keras.layers.Layer):
    """Runs a model on the rows that have its input, and returns zeros for the other rows.

    It is for a `mixture` of sets with different inputs, where an input that a set lacks is zero. A
    model that is applied to such zeros as well answers with its biases, learns from them, and
    averages them in its batch normalization. A branch applies the model to the rows that have the
    input and to no others, and none of its variables changes in a step without any such row:

        image, text = keras.Input((64, 64, 3), name="image"), keras.Input((80,), name="text")
        features = keras.layers.Add()([Branch(image_model)(image), Branch(text_model)(text)])
        network = architectures.mmoe(features, tasks)

    Choose it where sets bring different kinds of input. Where all sets have all inputs, call the
    model itself, which is a little faster.

    A row whose input is all zeros (or empty strings) counts as one without input. The number of
    rows varies from batch to batch, so XLA cannot compile the layer, and several replicas cannot
    have batch normalization inside it (take layer normalization there).

    Args:
        model: A `keras.Model` from one input to one tensor, `(batch, ...)`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: The input of the model, `(batch, ...)`.
        training: Passed on to the model.

    Returns:
        The output of the model, zero for rows without input.

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
        """Gathers the rows that have the input, and scatters the model's outputs back."""
        inputs = tf.convert_to_tensor(inputs)
        blank = tf.constant("") if inputs.dtype == tf.string else tf.zeros((), inputs.dtype)
        has_input = tf.reduce_any(inputs != blank, axis=range(1, inputs.shape.rank))
        rows = tf.where(has_input)  # (n, 1)
        model_inputs = tf.gather_nd(inputs, rows)  # (n, ...)
        size = tf.shape(inputs, tf.int64)[:1]
        features = self.model.outputs[0].shape[1:]
        shape = tf.concat([size, tf.constant(features, tf.int64)], 0)
        dtype = tf.as_dtype(self.compute_output_spec(inputs).dtype)

        def run() -> tf.Tensor:
            outputs = self.model(model_inputs, training=training)
            return tf.scatter_nd(rows, tf.cast(outputs, dtype), shape)

        # Without the condition, batch normalization would average no rows at all, to NaN
        # (docs/keras_notes.md, pain 94).
        result = tf.cond(tf.size(rows) > 0, run, lambda: tf.zeros(shape, dtype))
        return tf.ensure_shape(result, (inputs.shape[0], *features))

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        """Returns the spec of the model's output, with as many rows as there are inputs."""
        output = self.model.outputs[0]
        return keras.KerasTensor((inputs.shape[0], *output.shape[1:]), dtype=output.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Branch":
        """Builds a layer from the result of `get_config`."""
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("model")), **config)
