"""Arguments and settings with which the contracts build chains and dense prediction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from base_cases import ROWS, Array, Setting

from keras_mtl import Head, Labels, Task
from keras_mtl.layers import CounterfactualRisk

CASES: dict[str, dict[str, Any]] = {
    "aitm": {"tower": (8, 7), "calibrator": 0.0},  # a calibrator is for events alone
    "cascade": {"shared": (8,), "tower": (7,)},
    "deep_bayesian": {"shared": (8,), "tower": (7,), "relation": (5,)},
    "escm2": {"tower": (8, 7)},
    "esm2": {"tower": (8, 7)},
    "esmm": {"tower": (8, 7)},
    "mti_net": {"shared": (4, 6), "tower": (5,)},
    "pad_net": {"shared": (4,), "features": (6,), "tower": (5,)},
    "stem": {"embedding": (7,), "expert": (8,), "tower": (5,)},
}


def events(count: int) -> list[Task]:
    """Returns a chain of events; the rate of each event but the first stands before it."""
    return [
        Task.binary("view"),
        Task.binary("rate", weight=0),
        Task.binary("click", weight=0.5),
        Task.binary("success", weight=0),
        Task.binary("buy"),
    ][:count]


def behaviors(count: int) -> list[Task]:
    return [
        Task.binary("view"),
        Task.binary("cart"),
        Task.binary("rate", weight=0),
        Task.binary("buy", weight=0.5),
    ]


def with_risk(count: int) -> list[Task]:
    head = Head(1, "softplus")
    risk = Task("hazard", head=head, loss=CounterfactualRisk(), metrics=(), weight=0.1)
    return [Task.binary("view"), Task.binary("rate", weight=0), Task.binary("buy"), risk]


def labels_of_events(tasks: Sequence[Task]) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    view, rate, success = (rng.integers(0, 2, ROWS) for _ in range(3))
    labels = {"view": view, "rate": rate, "click": view * rate, "success": success}
    labels |= {"cart": view * success, "buy": view * rate, "hazard": view + view * rate}
    return {task.name: labels[task.name].astype("float32") for task in tasks}


def tasks_of_pixels(count: int) -> list[Task]:
    return [
        Task.segmentation("parts", 4),
        Task("depth", head=Head(1), loss="mae", labels=Labels((None, None)), weight=0.5),
        Task.segmentation("edges", 2),
        Task("normals", head=Head(3), loss="mse"),
        Task.segmentation("faces", 3),
    ][:count]


def labels_of_pixels(tasks: Sequence[Task]) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    size = (4, 8, 8)
    labels = {
        "parts": rng.integers(0, 4, size),
        "depth": rng.normal(size=size),
        "edges": rng.integers(0, 2, size),
        "normals": rng.normal(size=(*size, 3)),
        "faces": rng.integers(0, 3, size),
    }
    return {task.name: labels[task.name].astype("float32") for task in tasks}


def images() -> Array:
    # Large enough that a step of SGD still moves weights below many layers.
    return np.random.default_rng(0).normal(scale=5.0, size=(4, 8, 8, 3)).astype("float32")


PRODUCTS = {
    "test_each_output_comes_from_its_own_head": "probabilities are products of others",
    "test_the_layers_of_a_task_reach_its_output_alone": "probabilities are products of others",
    "test_predictions_at_each_position_equal_those_of_rows": "its tasks are events",
    "test_a_tagging_and_a_pooled_task_share_a_masked_sequence": "its tasks are events",
    "test_a_recipe_tower_pools_a_masked_sequence": "its tasks are events",
    "test_a_live_tower_is_refused": "the law builds one and two tasks",
}
FIXED = PRODUCTS | {
    "test_a_row_task_at_the_end_of_a_sequence_is_refused": "the law builds one task",
}
MAPS = {
    "test_predictions_at_each_position_equal_those_of_rows": "pixels see their neighbors",
    "test_a_tagging_and_a_pooled_task_share_a_masked_sequence": "sequences are refused",
    "test_a_recipe_tower_pools_a_masked_sequence": "sequences are refused",
    "test_a_row_task_at_the_end_of_a_sequence_is_refused": "sequences are refused",
    "test_a_live_tower_is_refused": "the law builds it over rows",
}
CASCADE = {
    "test_a_tagging_and_a_pooled_task_share_a_masked_sequence": "a row is not fed to a sequence",
    "test_a_recipe_tower_pools_a_masked_sequence": "a row is not fed to a sequence",
    "test_a_live_tower_is_refused": "later towers read more, so a live layer does not fit",
}
PIXELS = Setting(tasks=tasks_of_pixels, labels=labels_of_pixels, features=images, exceptions=MAPS)

SETTINGS: dict[str, Setting] = {
    "aitm": Setting(chained=True),
    "cascade": Setting(chained=True, exceptions=CASCADE),
    "deep_bayesian": Setting(chained=True),
    "escm2": Setting(
        counts=(4,),
        tasks=with_risk,
        labels=labels_of_events,
        exceptions=FIXED
        | {"test_outputs_are_float32_and_named_after_the_tasks": "a risk reads several outputs"},
    ),
    "esm2": Setting(counts=(4,), tasks=behaviors, labels=labels_of_events, exceptions=FIXED),
    "esmm": Setting(counts=(1, 3, 5), tasks=events, labels=labels_of_events, exceptions=PRODUCTS),
    "mti_net": PIXELS,
    "pad_net": PIXELS,
}
