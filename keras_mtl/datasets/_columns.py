"""A tfds feature for all columns of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds


class TableColumns(tfds.features.FeatureConnector):
    """Stores a row of a table as two short vectors and reads it as a dict of named scalars.

    It behaves as a `tfds.features.FeaturesDict` of float32 scalars and texts would. Choose it for
    wide tables: with one feature per table column, tfds writes and reads about 40 of them several
    times slower (docs/keras_notes.md, pain 91).

    Args:
        numbers: Names of the table columns of numbers, which are read as float32 scalars.
        vocabularies: For each table column of strings, the strings in it (256 at most); they are
            read as string scalars.

    Raises:
        ValueError: If a vocabulary has more than 256 entries.

    Example:
        >>> feature = TableColumns(["age"], {"sex": ["f", "m"], "race": ["a", "b"]})
        >>> stored = feature.encode_example({"age": 39.0, "sex": "m", "race": "a"})
        >>> stored
        {'numbers': [39.0], 'codes': b'\\x01\\x00'}
        >>> feature.decode_example(stored)["sex"].numpy()
        b'm'
    """

    def __init__(self, numbers: Sequence[str], vocabularies: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.numbers = tuple(numbers)
        self.vocabularies = {name: tuple(words) for name, words in vocabularies.items()}
        for name, words in self.vocabularies.items():
            if len(words) > 256:
                raise ValueError(
                    f"table column {name!r} has {len(words)} different strings; a byte can tell "
                    "256 strings apart."
                )
        sizes = [len(words) for words in self.vocabularies.values()]
        # Where the words of each vocabulary begin once all vocabularies are concatenated.
        self._offsets = np.cumsum([0, *sizes[:-1]])
        self._codes = {
            name: {word: code for code, word in enumerate(words)}
            for name, words in self.vocabularies.items()
        }

    def get_tensor_info(self) -> dict[str, Any]:
        """Returns shape and dtype of the decoded values: a scalar for each table column."""
        number, text = (tfds.features.TensorInfo((), dtype) for dtype in (np.float32, np.object_))
        return dict.fromkeys(self.numbers, number) | dict.fromkeys(self.vocabularies, text)

    def get_serialized_info(self) -> dict[str, Any]:
        """Returns the stored form: a vector of numbers, and one byte for each string."""
        return {
            "numbers": tfds.features.TensorInfo((len(self.numbers),), np.float32),
            "codes": tfds.features.TensorInfo((), np.object_),
        }

    def encode_example(self, example_data: Mapping[str, Any]) -> dict[str, Any]:
        """Encodes a row in its stored form.

        Raises:
            KeyError: If a table column is missing, or a string is not in its vocabulary.
        """
        return {
            "numbers": [example_data[name] for name in self.numbers],
            "codes": bytes(codes[example_data[name]] for name, codes in self._codes.items()),
        }

    def decode_example(self, tfexample_data: Mapping[str, Any]) -> dict[str, Any]:
        """Decodes a stored row, or a batch of stored rows, to a dict of table columns."""
        # (string columns,), or (batch, string columns) for a batch.
        codes = tf.cast(tf.io.decode_raw(tfexample_data["codes"], tf.uint8), tf.int64)
        words = [word for words in self.vocabularies.values() for word in words]
        texts = tf.gather(tf.constant(words), codes + self._offsets)
        table_columns: dict[str, Any] = {}
        for names, values in ((self.numbers, tfexample_data["numbers"]), (self._codes, texts)):
            table_columns.update(zip(names, tf.unstack(values, len(names), axis=-1), strict=True))
        return table_columns

    def to_json_content(self) -> dict[str, Any]:
        """Returns the arguments from which `from_json_content` makes the feature again."""
        return {"numbers": list(self.numbers), "vocabularies": self.vocabularies}

    @classmethod
    def from_json_content(cls, value: Mapping[str, Any]) -> "TableColumns":
        """Makes the feature that `to_json_content` describes."""
        return cls(value["numbers"], value["vocabularies"])
