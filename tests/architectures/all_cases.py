"""How each builder is tested: its arguments, its tasks and their features."""

import functools
from collections.abc import Sequence
from typing import Any

import base_cases
import chain_cases
import expert_cases
import keras
import low_rank_cases
import sharing_cases

from keras_mtl import Task, architectures

# Small networks; a builder that is not here is built with its defaults.
CASES = base_cases.CASES | sharing_cases.CASES | expert_cases.CASES | chain_cases.CASES
CASES |= low_rank_cases.CASES
SETTINGS = sharing_cases.SETTINGS | chain_cases.SETTINGS | low_rank_cases.SETTINGS


def setting(name: str) -> base_cases.Setting:
    """Returns the tasks and data with which a builder is tested."""
    return SETTINGS.get(name, base_cases.Setting())


def build(name: str, tasks: Sequence[Task] | None = None, /, **arguments: Any) -> keras.Model:
    """Builds the network of a builder; without `tasks`, for its usual number of tasks."""
    inputs = keras.Input(setting(name).features().shape[1:])
    tasks = tasks or setting(name).tasks(setting(name).usual_count)
    return getattr(architectures, name)(inputs, tasks, **CASES.get(name, {}) | arguments)


@functools.cache
def built(name: str, count: int) -> keras.Model:
    """Builds the network of a builder for `count` tasks once; tests must not change it."""
    keras.utils.set_random_seed(0)
    return build(name, setting(name).tasks(count))
