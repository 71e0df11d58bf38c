"""The files beside a SavedModel, in the folder of a version."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.export._beside._example_rows import find_example_rows, read_examples
from keras_mtl.export._beside._interface import ALL_TASKS, FILE, Interface
from keras_mtl.export._beside._json_files import write_json
from keras_mtl.export._beside._manifest import write_manifest
from keras_mtl.export._beside._recorded import Rows, write_recorded


def record(
    inputs: Mapping[str, Tensor], functions: Mapping[str, Any], examples: Any
) -> tuple[Rows, Rows]:
    """Returns rows, and what the function that is exported answers to them.

    Args:
        inputs: The symbolic inputs by name.
        functions: The concrete functions by signature.
        examples: Rows of a user, or `None` for made-up ones.

    Raises:
        ValueError: If rows of the user do not fit, or the network takes no made-up rows.
    """

    def run(rows: Rows) -> dict[str, npt.NDArray[Any]]:
        tensors = {
            name: tf.constant(rows[name], tf.dtypes.as_dtype(x.dtype)) for name, x in inputs.items()
        }
        answers = functions[ALL_TASKS](tensors)
        return {name: answer.numpy() for name, answer in answers.items()}

    if examples is None:
        return find_example_rows(inputs, run)
    rows = read_examples(inputs, examples)
    return rows, run(rows)


def write_beside(folder: pathlib.Path, interface: Interface, rows: Rows, answers: Rows) -> None:
    """Writes outputs.json, recorded.json and, last, manifest.json.

    Args:
        folder: The folder of the version, in which all other files are written already.
        interface: What the version takes and answers.
        rows: Rows by input.
        answers: Answers by output.
    """
    write_json(folder / FILE, interface.to_json())
    write_recorded(folder, rows, answers)
    write_manifest(folder)
