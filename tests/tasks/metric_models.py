"""Metrics of models: evaluated by both doors, on some number of replicas.

Run as a script, it prints the logs as JSON: each number of replicas needs a process of its own.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl

K = keras.metrics
ROWS, BATCH = 44, 22
Data = tuple[Any, dict[str, Any], dict[str, Any]]


class ShareAbove(keras.metrics.Mean):
    """A metric that does not obey its weights, and that has no configuration."""

    def __init__(self, threshold: float = 0.5, name: str = "above") -> None:
        super().__init__(name=name)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts predictions."""
        super().update_state(keras.ops.cast(y_pred > self.threshold, "float32"))


def hits_of_rows(y_true: Any, y_pred: Any) -> Any:
    """Returns which rows are right as a whole."""
    return keras.ops.all(keras.ops.equal(y_true > 0.5, y_pred > 0.5), axis=-1)


QUICK = ("yes_or_no", "tags", "classes")
"""Tasks of the everyday run; each separate metric takes a tenth of a second to trace."""


def tasks(names: Sequence[str] = ()) -> list[mtl.Task]:
    """Returns a task of each kind, with metrics of each kind of reading.

    Args:
        names: The names of the tasks. Defaults to all.
    """
    yes_or_no = ["auc", "f1", ShareAbove(0.45), K.F1Score(name="keras_f1")]
    tags = ["macro_auc", hits_of_rows, K.F1Score("macro", 0.5), K.Precision(top_k=1, name="top")]
    columns = ["auc", "mcc", K.F1Score(name="keras_f1"), K.R2Score(name="r2_score")]
    classes = ["accuracy", "macro_f1", K.MeanIoU(4, sparse_y_pred=False, name="iou")]
    targets = ["r2", "spearman", "cosine_similarity", K.PearsonCorrelation()]
    every_kind = [
        mtl.Task.binary("yes_or_no", metrics=yes_or_no),
        mtl.Task.multilabel("tags", 3, metrics=tags),
        mtl.Task.multilabel("some_columns", columns=["p_1", "q", "r"], metrics=columns),
        mtl.Task.multiclass("classes", 4, metrics=classes),
        mtl.Task.regression("targets", 3, metrics=targets),
    ]
    return [task for task in every_kind if not names or task.name in names]


def data(names: Sequence[str] = ()) -> Data:
    """Returns inputs, labels and weights, some of which are missing, fractions or both.

    Args:
        names: The names of the tasks. Defaults to all.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 4)).astype("float32")
    y = {
        "yes_or_no": (x[:, 0] > 0).astype("float32"),
        "tags": (x[:, :3] > 0).astype("float32"),
        "some_columns": (x[:, 1:] > 0).astype("float32"),
        "classes": rng.integers(0, 4, ROWS),
        "targets": x[:, :3] + 1,
    }
    w = {name: rng.choice([0.0, 0.5, 1.0], labels.shape) for name, labels in y.items()}
    w["yes_or_no"][: ROWS // 4] = 0.0  # no label for the first replica in its first step
    used = names or y
    return x, {name: y[name] for name in used}, {name: w[name].astype("float32") for name in used}


def network(names: Sequence[str] = ()) -> keras.Model:
    """Builds the same network at each call."""
    keras.utils.set_random_seed(0)
    return mtl.architectures.hard_sharing(keras.Input((4,)), tasks(names), shared=(8,))


def logs_of_models(
    names: Sequence[str] = (), *, run_eagerly: bool = False
) -> list[dict[str, float]]:
    """Returns the logs of `BalancedModel.evaluate` and of plain Keras with `compile_args`.

    Args:
        names: The names of the tasks. Defaults to all.
        run_eagerly: Whether plain Keras traces no graph, which takes long.
    """
    dataset = tf.data.Dataset.from_tensor_slices(data(names)).batch(BATCH)
    balanced = mtl.BalancedModel(network(names), tasks(names), mtl.balancers.Equal())
    balanced.compile("sgd")
    plain = network(names)
    plain.compile("sgd", run_eagerly=run_eagerly, **mtl.compile_args(tasks(names)))
    logs = [model.evaluate(dataset, verbose=0, return_dict=True) for model in (balanced, plain)]
    return [{name: float(value) for name, value in of_model.items()} for of_model in logs]


def main() -> None:
    """Prints the logs on some number of virtual devices."""
    parser = argparse.ArgumentParser()
    parser.add_argument("replicas", type=int)
    replicas = parser.parse_args().replicas
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    devices = [f"CPU:{i}" for i in range(replicas)]
    with tf.distribute.MirroredStrategy(devices).scope():
        print(json.dumps(logs_of_models()))


if __name__ == "__main__":
    main()
