"""Does what users do: trains in both ways, evaluates, predicts, saves, loads, exports, searches."""

import pathlib
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import keras_mtl as mtl

Array: TypeAlias = NDArray[Any]

ROWS = 60


def make_data() -> tuple[dict[str, Array], dict[str, Array]]:
    """Returns a table of columns, and labels by task."""
    rng = np.random.default_rng(0)
    age = rng.normal(40, 10, ROWS).astype("float32")
    table = {
        "age": np.where(rng.random(ROWS) < 0.2, np.nan, age),
        "city": np.array(["Oslo", "Rome"]),
    }
    table["city"] = table["city"][rng.integers(0, 2, ROWS)]
    return table, {"old": (age > 40).astype("float32"), "weight": age / 10}


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    tasks = [mtl.Task.binary("old"), mtl.Task.regression("weight", metrics=["mae"])]
    table, labels = make_data()
    encoder = mtl.data.tabular_encoder(table, missing="median")
    rows = tf.data.Dataset.from_tensor_slices((table, labels)).batch(16)
    train = rows.map(lambda x, y: (encoder(x), y)).cache()

    def build(some_tasks: Sequence[mtl.Task]) -> keras.Model:
        columns = mtl.data.embed_columns(encoder, units=2)
        network = mtl.architectures.mmoe(columns, some_tasks, num_experts=2, expert=(4,))
        network.compile(keras.optimizers.Adam(0.01), **mtl.compile_args(some_tasks))
        return network

    plain = build(tasks)
    plain.fit(train, validation_data=train, epochs=2, shuffle=False, verbose=0)
    plain.evaluate(train, return_dict=True, verbose=0)
    for make in (mtl.balancers.UncertaintySoftmax, mtl.balancers.PCGrad, mtl.balancers.FAMO):
        model = mtl.BalancedModel(build(tasks), tasks, make())
        model.compile(keras.optimizers.Adam(0.01))
        monitor, mode = mtl.monitor(tasks[0], "auc")
        stop = keras.callbacks.EarlyStopping(monitor, mode=mode, patience=3)
        model.fit(train, validation_data=train, epochs=2, callbacks=[stop], verbose=0)
        model.evaluate(train, return_dict=True, verbose=0)
        model.predict(train, verbose=0)
        print(model.task_weights)
    x = np.concatenate([x for x, _ in train.as_numpy_iterator()])
    model.fit(x, labels, batch_size=16, verbose=0)
    model.save(folder / "model.keras")
    keras.saving.load_model(folder / "model.keras").evaluate(x, labels, verbose=0)
    model.save_weights(folder / "model.weights.h5")
    model.load_weights(folder / "model.weights.h5")
    served = mtl.data.with_preprocessing(encoder, model.network)
    mtl.export.saved_model(served, tasks, folder / "served" / "1")
    model.export(folder / "plain", verbose=False)
    result = mtl.tuning.search_task_weights(
        build,
        tasks,
        train,
        train.take(2),
        objective=mtl.monitor(tasks[0], "auc"),
        tuner="random",
        max_trials=6,
        directory=folder / "search",
    )
    print(result.weights)


if __name__ == "__main__":
    main()
