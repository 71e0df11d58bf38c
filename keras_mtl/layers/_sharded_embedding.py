"""`ShardedEmbedding`: a table in several variables."""

from typing import Any

import keras
from keras import ops

from keras_mtl._backend import take_from_shards
from keras_mtl._types import Initializer, Regularizer, Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class ShardedEmbedding(keras.layers.Layer):
    """Looks up rows of a table that is cut into several variables.

        row i of the table  =  row i // S of variable i mod S

    In the scope of `training.parameter_servers` the variables lie on different servers, so that a
    table may be larger than the memory of one machine; a step asks each server for the rows that it
    needs and sends changes of those rows only. In one process the layer computes the same as
    `keras.layers.Embedding`, which is faster there: choose it only for tables that are too large.
    (TensorFlow's `variable_partitioner` fails with Keras's embedding: "'ShardedVariable' object has
    no attribute 'handle'"; and rules that need a row of gradients per task make gradients dense.)

    Args:
        rows: The number of rows of the table.
        units: The number of entries of a row.
        shards: S, the number of variables; the number of servers, or a multiple of it.
        embeddings_initializer: As in `keras.layers.Embedding`; each variable is drawn by itself.
        embeddings_regularizer: As in `keras.layers.Embedding`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If there are fewer rows than shards, or a number is below 1.

    Example:
        >>> import numpy as np
        >>> layer = ShardedEmbedding(rows=5, units=1, shards=2)
        >>> layer.build()
        >>> layer.assign_table(np.arange(5.0).reshape(5, 1))
        >>> [float(value) for value in layer(np.array([4, 0, 3]))[:, 0]]
        [4.0, 0.0, 3.0]
    """

    def __init__(
        self,
        rows: int,
        units: int,
        shards: int,
        embeddings_initializer: Initializer = "uniform",
        embeddings_regularizer: Regularizer = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if min(rows, units, shards) < 1 or rows < shards:
            raise ValueError(
                f"{self.name}: rows is {rows}, units {units}, shards {shards}; expected 1 or more "
                "of each, and no more shards than rows."
            )
        self.rows, self.units, self.shards = int(rows), int(units), int(shards)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embeddings_regularizer = keras.regularizers.get(embeddings_regularizer)
        self.tables: list[keras.Variable] = []

    def build(self, input_shape: Any = None) -> None:
        """Makes the variables; each has a row in S of the table."""
        for i in range(self.shards):
            table = self.add_weight(
                name=f"table_{i}",
                shape=(-(-(self.rows - i) // self.shards), self.units),
                initializer=_drawing_other_rows(self.embeddings_initializer, i),
                regularizer=self.embeddings_regularizer,
            )
            self.tables.append(table)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Returns the rows of whole numbers of any shape, `[..., units]`."""
        inputs = ops.convert_to_tensor(inputs)
        if not keras.backend.is_int_dtype(inputs.dtype):
            inputs = ops.cast(inputs, "int32")
        return ops.cast(take_from_shards(self.tables, inputs), self.compute_dtype)

    def assign_table(self, table: Any) -> None:
        """Assigns a whole table `[rows, units]`, such as that of a `keras.layers.Embedding`."""
        if tuple(table.shape) != (self.rows, self.units):
            raise ValueError(
                f"{self.name}: the table has the shape {tuple(table.shape)}; expected "
                f"{(self.rows, self.units)}."
            )
        for i, variable in enumerate(self.tables):
            variable.assign(table[i :: self.shards])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the inputs, and the units."""
        return (*input_shape, self.units)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "rows": self.rows,
            "units": self.units,
            "shards": self.shards,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": keras.regularizers.serialize(self.embeddings_regularizer),
        }


def _drawing_other_rows(initializer: Any, number: int) -> Any:
    """Returns an initializer that draws by another seed, if it has one."""
    config = keras.initializers.serialize(initializer)
    arguments = config.get("config") if isinstance(config, dict) else None
    if isinstance(arguments, dict) and isinstance(arguments.get("seed"), int):
        arguments["seed"] += number
    return keras.initializers.get(config)
