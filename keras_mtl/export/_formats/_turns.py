"""Milliseconds of artifacts, measured in turns."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mtl.export._formats._artifacts import Artifact

_ROUNDS, _SECONDS = 30, 2.0


def time_in_turns(artifacts: Sequence[Artifact], inputs: Any) -> list[float]:
    """Returns the median milliseconds of each artifact for the inputs of a batch.

    All take turns, so that whatever else the machine does slows all of them; at most 30 rounds,
    or two seconds for each artifact.
    """
    for artifact in artifacts:
        artifact.predict(inputs)
    taken: list[list[float]] = [[] for _ in artifacts]
    end = time.perf_counter() + _SECONDS * len(artifacts)
    for _ in range(_ROUNDS):
        for times, artifact in zip(taken, artifacts, strict=True):
            start = time.perf_counter()
            artifact.predict(inputs)
            times.append(1e3 * (time.perf_counter() - start))
        if time.perf_counter() > end:
            break
    return [float(np.median(times)) for times in taken]
