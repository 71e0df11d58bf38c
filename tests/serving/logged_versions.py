"""Version folders without a model, and logs of rows that they could have answered."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.export._beside._interface import InputSpec, Interface, SignatureSpec, TaskSpec
from keras_mtl.export._beside._json_files import write_json
from keras_mtl.export._beside._manifest import write_manifest

INPUTS = {
    "city": InputSpec("string", (None, 1), None),
    "age": InputSpec("float32", (None, 1), True),
    "size": InputSpec("float32", (None, 1), False),
    "pair": InputSpec("float32", (None, 2), (1,)),
}


def write_interface(
    folder: pathlib.Path, kinds: Mapping[str, str], logits: bool = False, width: int = 1
) -> pathlib.Path:
    """Writes a version that has outputs.json and manifest.json alone.

    Args:
        folder: The folder of the version.
        kinds: By task, its kind; classes are three.
        logits: Whether outputs are logits.
        width: The number of entries per row of tasks without classes.
    """
    folder.mkdir(parents=True)
    tasks = {
        task: TaskSpec(
            kind,
            task,
            (None, 3) if kind in ("class", "one-hot") else (None, width),
            "float32",
            None,
            ("red", "green", "blue") if kind == "class" else None,
            logits,
            0.5 if kind == "yes or no" else None,
            f"{task}_decision" if kind == "yes or no" else None,
            None,
        )
        for task, kind in kinds.items()
    }
    signatures = {task: SignatureSpec(("city", "age"), (task,)) for task in kinds}
    signatures["serving_default"] = SignatureSpec(tuple(INPUTS), tuple(kinds))
    write_json(folder / "outputs.json", Interface(INPUTS, signatures, tasks).to_json())
    write_manifest(folder)
    return folder


def draw_rows(random: np.random.Generator, count: int) -> dict[str, Any]:
    """Returns usual columns."""
    return {
        "city": random.choice(np.array(["Rome", "Oslo"], object), (count, 1)),
        "age": random.normal(40, 10, (count, 1)),
        "size": random.normal(size=(count, 1)),
        "pair": random.normal(size=(count, 2)),
    }
