"""The files beside a SavedModel, in the folder of a version."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.export._beside._example_rows import find_example_rows, read_examples
from keras_mtl.export._beside._interface import FILE, Interface
from keras_mtl.export._beside._json_files import write_json
from keras_mtl.export._beside._manifest import write_manifest
from keras_mtl.export._beside._model_card import write_card
from keras_mtl.export._beside._recorded import Rows, write_recorded
from keras_mtl.export._beside._warm_up import write_warm_up


class Beside:
    """Holds what stands beside a SavedModel, so that nothing is written before all is known.

    Args:
        interface: What the version takes and answers.
        inputs: The symbolic inputs by name.
        function: The concrete function of all tasks, as it is exported.
        examples: Rows of a user, or `None` for made-up ones.

    Raises:
        ValueError: If rows of the user do not fit, or the network takes no made-up rows.
    """

    def __init__(
        self, interface: Interface, inputs: Mapping[str, Tensor], function: Any, examples: Any
    ) -> None:
        self._interface = interface
        self._has_fixed_batch = any(x.shape[0] is not None for x in inputs.values())

        def run(rows: Rows) -> dict[str, npt.NDArray[Any]]:
            tensors = {
                name: tf.constant(rows[name], tf.as_dtype(x.dtype)) for name, x in inputs.items()
            }
            answers = function(tensors)
            return {name: answer.numpy() for name, answer in answers.items()}

        if examples is None:
            self._rows, self._answers = find_example_rows(inputs, run)
        else:
            self._rows = read_examples(inputs, examples)
            self._answers = run(self._rows)

    def write(self, folder: pathlib.Path) -> None:
        """Writes the files; manifest.json, which is over all others, comes last.

        Args:
            folder: The folder of the version, in which all other files are written already.
        """
        write_json(folder / FILE, self._interface.to_json())
        write_recorded(folder, self._rows, self._answers)
        write_warm_up(folder, self._rows, self._interface, self._has_fixed_batch)
        write_card(folder, self._interface)
        write_manifest(folder)
