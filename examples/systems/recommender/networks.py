"""The contenders: from the same features, networks of about the same size."""

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, architectures, data

from .funnel import ITEMS, TERMS, USERS

CLICK, CONVERSION, PURCHASE, DWELL = (
    Task.binary("click", metrics=()),
    Task.binary("conversion", metrics=()),
    Task.binary("purchase", metrics=()),
    Task.regression("dwell", metrics=()),
)
UNSEEN = Task.binary("conversion", weight=0, metrics=())  # learned through the purchase


def features():
    """Joins embeddings of user and item, the profile, and the item's text as a second branch."""
    user = keras.Input((), dtype="int32", name="user")
    item = keras.Input((), dtype="int32", name="item")
    profile = keras.Input((4,), name="profile")
    text = keras.Input((TERMS,), name="text")
    parts = [
        keras.layers.Embedding(USERS, 8, name="shared_user")(user),
        keras.layers.Embedding(ITEMS, 8, name="shared_item")(item),
        keras.layers.Dense(8, activation="relu", name="shared_profile")(profile),
        keras.layers.Dense(16, activation="relu", name="shared_text")(text),
    ]
    return keras.layers.Concatenate(name="shared_features")(parts)


def risk(kind):
    """Returns the fourth task of ESCM2, whose labels are 0, 1 and 2."""
    return Task(
        "risk",
        head=mtl.Head(1, "softplus"),
        loss=mtl.layers.CounterfactualRisk(kind, clip=0.05),
        labels=mtl.Labels(integer=True, low=0, high=2),
        weight=0.5,
    )


FULL, CHAIN = [CLICK, CONVERSION, DWELL], [CLICK, UNSEEN, PURCHASE]
BODY, TOWER, EXPERT = (64,), (32,), (32,)
SHARED = {"shared": BODY, "tower": TOWER}
PLE = {"num_levels": 1, "num_shared_experts": 1, "num_task_experts": 1}

# By name: networks to train, each with its builder, its arguments, and its tasks.
CONTENDERS = {
    "one for each task": [
        (architectures.single_task, {"tower": (*BODY, *TOWER)}, [task]) for task in FULL
    ],
    "hard sharing": [(architectures.hard_sharing, SHARED, FULL)],
    "MMoE": [
        (architectures.mmoe, {"num_experts": 3, "expert": EXPERT, "tower": TOWER}, FULL),
    ],
    "PLE": [(architectures.ple, PLE | {"expert": EXPERT, "tower": TOWER}, FULL)],
    "STEM": [
        (architectures.stem, {"embedding": (16,), "expert": EXPERT, "tower": TOWER}, FULL),
    ],
    "AITM": [(architectures.aitm, SHARED, [CLICK, PURCHASE])],
    "ESMM": [(architectures.esmm, SHARED, CHAIN)],
    "ESCM2, IPS": [(architectures.escm2, SHARED, [*CHAIN, risk("ips")])],
    "ESCM2, DR": [(architectures.escm2, SHARED, [*CHAIN, risk("dr")])],
}


def train(contender, rows, epochs, batch_size=256):
    """Trains one network with plain Keras; labels that are NaN count nothing."""
    build, arguments, tasks = contender
    steps = {"risk": rows.labels["click"] + rows.labels["purchase"]}
    labels = {task.name: (rows.labels | steps)[task.name] for task in tasks}
    batches = tf.data.Dataset.from_tensor_slices((rows.inputs, labels))
    batches = batches.shuffle(len(rows.inputs["user"]))
    network = build(features(), tasks, **arguments)
    network.compile(keras.optimizers.AdamW(3e-3, weight_decay=1e-3), **mtl.compile_args(tasks))
    network.fit(
        data.mask_missing(batches.batch(batch_size), tasks), epochs=epochs, verbose=0, shuffle=False
    )
    return network


def predict(models, rows, batch=2000):
    """Returns predictions by task; the missing one of conversion and purchase is computed."""
    result, size = {}, len(rows.inputs["user"])
    for model in models:
        parts = [
            model({k: v[i : i + batch] for k, v in rows.inputs.items()}, training=False)
            for i in range(0, size, batch)
        ]
        result |= {name: np.concatenate([p[name] for p in parts])[:, 0] for name in parts[0]}
    if "purchase" not in result:
        result["purchase"] = result["click"] * result["conversion"]
    if "conversion" not in result:
        result["conversion"] = result["purchase"] / np.maximum(result["click"], 1e-6)
    return result
