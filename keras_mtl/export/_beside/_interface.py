"""outputs.json: what a version takes and answers."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_mtl.export._beside._json_files import read_json
from keras_mtl.export._beside._refused import RefusedVersion

FILE = "outputs.json"
ALL_TASKS = "serving_default"
TF_EXAMPLE = "tf_example"

Shape = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """Describes an input of a version.

    Args:
        dtype: Such as `"float32"`, `"int64"` or `"string"`.
        shape: The batch, `None`, comes first; `None` elsewhere is an axis of any length.
        filled: Where the network fills numbers that are not finite: everywhere, nowhere, or in
            these places of the last axis. Elsewhere such a row is answered with NaN. `None` if it
            is not known, because inputs are not checked.
    """

    dtype: str
    shape: Shape
    filled: bool | tuple[int, ...] | None


@dataclasses.dataclass(frozen=True)
class SignatureSpec:
    """Describes a signature of a version.

    Args:
        inputs: The names of the inputs that it needs.
        outputs: The names of what it answers: tasks and decisions.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """Describes a task of a version.

    Args:
        kind: What a label says: `"yes or no"`, `"class"`, `"one-hot"`, `"distribution"`,
            `"number"`, `"quantiles"`, `"survival"`, `"scores"` or `"unknown"`.
        signature: The signature that answers this task alone.
        shape: The shape of its output, the batch first.
        dtype: The dtype of its output.
        columns: The names of the entries of the last axis, if each is a task of its own.
        classes: The names of the classes, if the task names them.
        logits: Whether the output holds logits; otherwise it holds probabilities, or numbers in
            the unit of the labels.
        threshold: The probability above which the decision is yes, one for all entries or one for
            each; `None` if no decision is served.
        decision: The name of the output with the decision: 1, 0, or -1 where the output is NaN.
        scale: The scale in which the network learned the labels, as `keras_mtl.Scale.get_config`
            returns it. The output is in the unit of the labels already.
        levels: What the entries of the output's last axis stand for, where these are numbers: the
            levels of quantiles, or the ends of bins of time. Defaults to `None`.
    """

    kind: str
    signature: str
    shape: Shape
    dtype: str
    columns: tuple[str, ...] | None
    classes: tuple[str, ...] | None
    logits: bool
    threshold: float | tuple[float, ...] | None
    decision: str | None
    scale: Mapping[str, Any] | None
    levels: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class TfExampleSpec:
    """Describes the signature that reads serialized `tf.train.Example`s, and answers all tasks.

    Args:
        signature: Its name.
        input: The name of its only input, a vector of strings.
        optional: The inputs of the network that an example may lack.
    """

    signature: str
    input: str
    optional: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Interface:
    """Describes what a version takes and answers.

    Args:
        inputs: By name.
        signatures: By name; `serving_default` answers all tasks.
        tasks: By name, in the order of the list of tasks.
        tf_example: The signature of serialized examples, if there is one. It is not among
            `signatures`, because it does not take the inputs. Defaults to `None`.
    """

    inputs: Mapping[str, InputSpec]
    signatures: Mapping[str, SignatureSpec]
    tasks: Mapping[str, TaskSpec]
    tf_example: TfExampleSpec | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the content of outputs.json."""
        content: dict[str, Any] = {
            part: {name: dataclasses.asdict(spec) for name, spec in getattr(self, part).items()}
            for part in ("inputs", "signatures", "tasks")
        }
        if self.tf_example is not None:
            content["tf_example"] = dataclasses.asdict(self.tf_example)
        return content


def read_interface(folder: str | os.PathLike[str]) -> Interface:
    """Reads outputs.json of a version; needs neither Keras nor TensorFlow.

    Keys that it does not know are left out, so that later versions can write more.

    Args:
        folder: The folder of the version.

    Raises:
        RefusedVersion: If the file is missing, incomplete, or names what it does not describe.
    """
    path = pathlib.Path(folder) / FILE
    content = read_json(path)
    try:
        interface = Interface(
            {name: _read(InputSpec, spec) for name, spec in content["inputs"].items()},
            {name: _read(SignatureSpec, spec) for name, spec in content["signatures"].items()},
            {name: _read(TaskSpec, spec) for name, spec in content["tasks"].items()},
            _read(TfExampleSpec, content["tf_example"]) if "tf_example" in content else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RefusedVersion(f"{path} is not complete: {type(error).__name__} {error}.") from error
    _check_names(path, interface)
    return interface


def _read(kind: Any, spec: Mapping[str, Any]) -> Any:
    """Returns a spec from its JSON object, with tuples for lists."""
    values = {
        field.name: spec[field.name]
        for field in dataclasses.fields(kind)
        if field.name in spec or field.default is dataclasses.MISSING
    }
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _check_names(path: pathlib.Path, interface: Interface) -> None:
    """Checks that signatures take and answer what the file describes.

    Raises:
        RefusedVersion: If not.
    """
    decisions = {task.decision for task in interface.tasks.values() if task.decision}
    answered = {*interface.tasks, *decisions}
    for name, signature in interface.signatures.items():
        unknown = sorted({*signature.outputs} - answered)
        if unknown:
            raise RefusedVersion(
                f"{path}: signature {name!r} answers {unknown}, which are no tasks and no "
                f"decisions; there are {sorted(answered)}."
            )
    missing = sorted({task.signature for task in interface.tasks.values()} | {ALL_TASKS})
    missing = [name for name in missing if name not in interface.signatures]
    if missing:
        raise RefusedVersion(f"{path} describes no signature {missing}.")
