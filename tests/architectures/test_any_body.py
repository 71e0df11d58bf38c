"""Every builder over rows, masked sequences and images, from units, recipes and Keras models."""

import dataclasses
import functools
import inspect
import warnings

import keras
import numpy as np
import pytest
from all_cases import CASES, setting
from base_cases import SIZE

from keras_mtl import Labels, Task, architectures
from keras_mtl.architectures._building import Body

LIVE = ("shared", "body", "stem")  # parts of which there is one, or that are copied
NEW = ("expert", "subnetwork", "embedding", "features", "tower")  # new layers at each call
SHAPES = {2: (SIZE,), 3: (None, SIZE), 4: (8, 8, SIZE)}
TOKENS = np.array([[3, 1, 4, 0], [5, 2, 0, 0]])

# Messages of builders that refuse parts, by (builder, rank, kind of parts); `None` for any.
MAPS = "features must be maps .* use another architecture"
IMPRESSIONS = "its head imputes one error an impression"
ROWS = "its encoder must end in"
REFUSALS = {
    **{(name, rank, None): MAPS for name in ("pad_net", "mti_net") for rank in (2, 3)},
    **{("escm2", rank, None): IMPRESSIONS for rank in (3, 4)},
    **{("multimodal", rank, None): ROWS for rank in (3, 4)},
    **{("multimodal", rank, "model"): ROWS for rank in (3, 4)},  # said before LIVE_LAYER
    ("sluice", None, "model"): "or set orthogonality=0",
    ("sparse", 3, "recipe"): "a GRU; begin it with a Dense or Conv layer",
    ("tensor_factorized", None, "recipe"): "nothing is factorized .* choose hard_sharing",
    ("tensor_factorized", None, "model"): "nothing is factorized .* choose hard_sharing",
}
LIVE_LAYER = "received the live layer .* Pass a recipe that makes new layers at each call"

CROSSED = [
    pytest.param(
        name,
        rank,
        kind,
        marks=() if rank == 3 and kind == "recipe" else pytest.mark.slow,
    )
    for name in architectures.__all__
    for rank in SHAPES
    for kind in ("units", "recipe", "model")
]


def layer(rank):
    kinds = {
        2: lambda: keras.layers.Dense(SIZE, "tanh"),
        3: lambda: keras.layers.GRU(SIZE, return_sequences=True),
        4: lambda: keras.layers.Conv2D(SIZE, 3, padding="same"),
    }
    return kinds[rank]()


def model(rank):
    return keras.Sequential([keras.Input(SHAPES[rank]), layer(rank)])


def recipe(rank):
    return lambda features: layer(rank)(features)


def scales(kind):
    """Builds a body for `mti_net` that returns maps of two scales."""

    def body(images):
        fine = layer(4)(images)
        return [fine, keras.layers.MaxPooling2D()(layer(4)(fine))]

    if kind == "recipe":
        return body
    images = keras.Input(SHAPES[4])
    return keras.Model(images, body(images))


def parts(name, rank, kind):
    """Returns arguments that build a network from such parts, with the usual number of stages."""
    arguments = dict(CASES.get(name, {}))
    known = inspect.signature(getattr(architectures, name)).parameters
    if kind == "units":
        return arguments
    arguments.pop("shortcut", None)  # its stages would read more than their models do
    make = functools.partial({"recipe": recipe, "model": model}[kind], rank)
    live = [key for key in LIVE if key in known]
    keys = live if kind == "model" and live else [*live, *(key for key in NEW if key in known)]
    for key in keys:
        stages = len(arguments[key]) if known[key].annotation == Body else 0
        arguments[key] = [make() for _ in range(stages)] if stages else make()
    if name == "mti_net" and rank == 4:
        arguments["shared"] = scales(kind)
    return arguments


def tasks_of(name, rank):
    """Returns tasks with a prediction for each row, token or pixel."""
    tasks = setting(name).tasks(setting(name).usual_count)
    if rank == 2 and (name, rank, None) not in REFUSALS:
        return tasks
    if name in ("esmm", "esm2", "escm2"):
        labels = Labels((None,) * (rank - 2), integer=True)
        return [dataclasses.replace(task, labels=labels) for task in tasks]
    make = {3: Task.tagging}.get(rank, Task.segmentation)
    return [make("tags", 3), make("parts", 4)]


def refusal(name, rank, kind):
    """Returns the message with which a builder refuses such parts, or None."""
    if name == "multimodal" and (name, rank, kind) in REFUSALS:
        return REFUSALS[name, rank, kind]
    known = inspect.signature(getattr(architectures, name)).parameters
    if kind == "model" and not set(LIVE) & set(known):
        return LIVE_LAYER
    keys = [(name, rank, kind), (name, rank, None), (name, None, kind)]
    return next((REFUSALS[key] for key in keys if key in REFUSALS), None)


def build(name, rank, kind):
    features = keras.Input(SHAPES[rank])
    if rank == 3:
        tokens = keras.Input((None,), dtype="int32")
        features = keras.layers.Embedding(9, SIZE, mask_zero=True)(tokens)
    tasks = tasks_of(name, rank)
    return getattr(architectures, name)(features, tasks, **parts(name, rank, kind)), tasks


@pytest.mark.parametrize(("name", "rank", "kind"), CROSSED)
def test_every_builder_takes_any_body_or_says_why_not(name, rank, kind):
    if kind == "model":  # Keras warns that models drop masks, but they do carry them
        warnings.filterwarnings("ignore", ".*was passed an input with a mask")
    reason = refusal(name, rank, kind)
    if reason is not None:
        with pytest.raises((ValueError, TypeError), match=reason):
            build(name, rank, kind)
        return
    network, tasks = build(name, rank, kind)
    rng = np.random.default_rng(0)
    x = TOKENS if rank == 3 else rng.normal(size=(2, *SHAPES[rank])).astype("float32")
    outputs = network(x)
    for task in tasks:
        output = outputs[task.name]
        assert output.shape[:-1] == (2, *x.shape[1 : rank - 1])
        assert np.isfinite(np.asarray(output)).all()
        if rank == 3:
            np.testing.assert_array_equal(output._keras_mask, TOKENS != 0)
