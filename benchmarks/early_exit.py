"""A task that overfits beside one that does not: trained on, paused, or paused at its best weights.

    python benchmarks/early_exit.py

Digits: ten classes on 600 rows, and whether a digit is above 4 on 40 of them. Training watches the
losses on 300 other rows; the table is of the remaining 897. Some minutes on one core.
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_mtl as mtl

ARMS = ("not paused", "paused", "at its best")
EPOCHS = 60
TRAIN, VALIDATION, TEST = slice(600), slice(600, 900), slice(900, None)


def main() -> None:
    inputs, digits = load_digits(return_X_y=True)
    inputs = (inputs / 16.0).astype("float32")
    print(f"{'arm':<12}{'loss':>16}{'accuracy':>16}{'loss of classes':>18}{'paused after':>14}")
    results = [run(inputs, digits, seed) for seed in range(5)]
    for arm in ARMS:
        rows = np.array([result[arm] for result in results])
        means, spreads = rows.mean(0), rows.std(0, ddof=1)
        cells = [f"{mean:.3f} +- {sd:.3f}" for mean, sd in zip(means, spreads, strict=True)]
        print(f"{arm:<12}{cells[0]:>16}{cells[1]:>16}{cells[2]:>18}{means[3]:>14.0f}")


def run(inputs: np.ndarray, digits: np.ndarray, seed: int) -> dict[str, list[float]]:
    """Trains each arm on one split; returns two losses, an accuracy and an epoch on test rows."""
    order = np.random.default_rng(seed).permutation(len(inputs))
    x, classes = inputs[order], digits[order]
    y = {"digit": classes, "above_4": (classes > 4).astype("float32")}
    weights = {"digit": np.ones(600, "float32"), "above_4": (np.arange(600) < 40) * 1.0}
    results = {}
    for arm in ARMS:
        tasks = [
            mtl.Task.multiclass("digit", 10),
            mtl.Task.binary("above_4", weight=keras.Variable(1.0)),
        ]
        keras.utils.set_random_seed(seed)
        network = mtl.architectures.hard_sharing(
            keras.Input((64,)), tasks, shared=(64,), tower=(64,)
        )
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        model.compile(keras.optimizers.Adam(3e-3))
        pause = mtl.callbacks.PauseTasks(
            tasks, patience={"above_4": 5}, metrics="loss", restore_best=arm == ARMS[2]
        )
        history = model.fit(
            x[TRAIN],
            {name: labels[TRAIN] for name, labels in y.items()},
            sample_weight=weights,
            validation_data=(x[VALIDATION], {name: part[VALIDATION] for name, part in y.items()}),
            epochs=EPOCHS,
            batch_size=50,
            verbose=0,
            callbacks=[] if arm == ARMS[0] else [pause],
        ).history
        of_test = {name: labels[TEST] for name, labels in y.items()}
        logs = model.evaluate(x[TEST], of_test, verbose=0, return_dict=True)
        above = model.predict(x[TEST], verbose=0)["above_4"][:, 0] > 0.5
        accuracy = float((above == (of_test["above_4"] > 0.5)).mean())
        after = EPOCHS - sum(history.get("above_4_paused", [0]))
        results[arm] = [logs["above_4_loss"], accuracy, logs["digit_loss"], after]
    return results


if __name__ == "__main__":
    main()
