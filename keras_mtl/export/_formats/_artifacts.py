"""Networks and files, as functions from the inputs of a batch to predictions."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_mtl.export._formats._differences import Array
from keras_mtl.export._formats._run_litert import LitertRunner
from keras_mtl.export._formats._run_onnx import OnnxRunner
from keras_mtl.export._formats._served import load_served
from keras_mtl.training import BalancedModel

Source: TypeAlias = keras.Model | str | os.PathLike[str]
"""A network, the folder of a version, or an ONNX or LiteRT file."""


@dataclasses.dataclass(frozen=True)
class Artifact:
    """Holds one way to compute predictions.

    Attributes:
        name: Its name.
        kind: `"Keras"`, `"SavedModel"`, `"ONNX"` or `"LiteRT"`.
        bytes: The size of the file, of graph and variables of a SavedModel, or of the variables of
            a network.
        predict: From the inputs of a batch to predictions, by output.
    """

    name: str
    kind: str
    bytes: int
    predict: Callable[[Any], Mapping[str, Array]]


def read_artifacts(exports: Mapping[str, Source] | Sequence[Source]) -> list[Artifact]:
    """Returns the artifacts of a comparison.

    Raises:
        ValueError: If there are fewer than two, two have one name, or one is of no known kind.
    """
    if isinstance(exports, Mapping):
        pairs = list(exports.items())
    else:
        pairs = [(_name(source), source) for source in exports]
    names = [name for name, _ in pairs]
    if len(pairs) < 2 or len(set(names)) != len(names):
        raise ValueError(
            "exports are two artifacts or more with different names, the reference first; received "
            f"{names}. Pass a dict to name them: {{'float32': folder, 'int8': file}}."
        )
    return [_open(name, source) for name, source in pairs]


def _name(source: Source) -> str:
    if isinstance(source, keras.Model):
        return str(source.name)
    path = pathlib.Path(source)
    return path.name if path.is_file() else str(path)


def _open(name: str, source: Source) -> Artifact:
    if isinstance(source, BalancedModel):
        source = source.network
    if isinstance(source, keras.Model):
        size = sum(int(np.prod(v.shape)) * np.dtype(v.dtype).itemsize for v in source.variables)
        return Artifact(name, "Keras", size, source.predict_on_batch)
    path = pathlib.Path(source)
    if path.is_dir():
        served = load_served(path)
        files = [path / "saved_model.pb", *(path / "variables").iterdir()]
        specs = {key: (spec.dtype.name, spec.shape.rank) for key, spec in served.specs.items()}
        size = sum(file.stat().st_size for file in files)
        return Artifact(name, "SavedModel", size, _on_rows(served.answer, specs))
    if not path.is_file():
        raise ValueError(f"{name!r}: there is no file or folder {str(path)!r}.")
    kinds = {".onnx": ("ONNX", OnnxRunner), ".tflite": ("LiteRT", LitertRunner)}
    if path.suffix not in kinds:
        raise ValueError(
            f"{name!r} is {str(path)!r}; expected a network, the folder of a version, or a file "
            "that ends in .onnx or .tflite."
        )
    kind, make_runner = kinds[path.suffix]
    runner: Any = make_runner(path)
    return Artifact(name, kind, path.stat().st_size, _on_rows(runner.answer, runner.specs))


def _on_rows(
    answer: Callable[[dict[str, Array]], Mapping[str, Array]],
    specs: Mapping[str, tuple[str, int]],
) -> Callable[[Any], Mapping[str, Array]]:
    """Returns a function of the inputs of a batch, in the dtypes and ranks of an artifact."""

    def predict(inputs: Any) -> Mapping[str, Array]:
        if not isinstance(inputs, Mapping):
            if len(specs) != 1:
                raise ValueError(
                    f"the inputs of the data have no names, and the artifact has the inputs "
                    f"{sorted(specs)}; pass data whose inputs are a dict."
                )
            inputs = {next(iter(specs)): inputs}
        missing = sorted(set(specs) - set(inputs))
        if missing:
            raise ValueError(f"the data lack the inputs {missing} of the artifact.")
        return answer({name: _fit(inputs[name], *spec) for name, spec in specs.items()})

    return predict


def _fit(values: Any, dtype: str, rank: int) -> Array:
    array = np.asarray(values)
    if array.ndim == rank - 1:  # a column (batch,) for an input (batch, 1), as Keras takes it
        array = array[..., np.newaxis]
    elif array.ndim == rank + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    return array if dtype == "string" else array.astype(dtype)
