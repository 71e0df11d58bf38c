"""The output of the quickstart: progress, table, figure, and a check of the served model."""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

import keras
import matplotlib
import numpy as np

from keras_mtl import data

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LONG_TAILED = ("capital_gains", "capital_losses", "dividends", "wage_per_hour")

SERVE = """
import json, sys
import numpy as np, tensorflow as tf
assert not any(name.startswith("keras_mtl") for name in sys.modules)
served = tf.saved_model.load(sys.argv[1])
columns = {name: tf.constant(values) for name, values in np.load(sys.argv[2]).items()}
outputs = {name: call(**{k: columns[k] for k in call.structured_input_signature[1]})
           for name, call in served.signatures.items()}
print(json.dumps({name: {key: v.numpy().ravel().tolist() for key, v in out.items()}
                  for name, out in outputs.items()}))
"""


class Clock(keras.callbacks.Callback):
    """Keeps the seconds of the last epoch; the first epoch traces the step as well."""

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.start


class Report:
    """Trains models one after the other and keeps their results."""

    def __init__(self, tasks, sets):
        self.tasks, self.sets, self.started = tasks, sets, time.perf_counter()
        self.rows, self.models, self.alone = {}, {}, {}
        for part, batches in sets.items():
            print(f"{part}: {int(batches.cardinality())} batches", flush=True)

    def _fit(self, name, model, epochs, sets):
        clock = Clock()
        model.fit(sets["train"], epochs=epochs, callbacks=[clock], shuffle=False, verbose=0)
        logs = {
            part: model.evaluate(sets[part], return_dict=True, verbose=0)
            for part in ("validation", "test")
        }
        elapsed = time.perf_counter() - self.started
        print(f"[{elapsed:4.0f} s] {name}: {clock.seconds:.1f} s an epoch", flush=True)
        return logs, clock.seconds

    def train_alone(self, task, model, epochs):
        """Trains a network of one task; these networks together are the baseline."""
        sets = {part: data.select_tasks(batches, [task]) for part, batches in self.sets.items()}
        logs, seconds = self._fit(f"{task.name} alone", model, epochs, sets)
        aucs = {part: part_logs[f"{task.name}_auc"] for part, part_logs in logs.items()}
        self.alone[task.name] = aucs
        row = self.rows.setdefault("single-task networks", {"parameters": 0, "seconds": 0.0})
        row["parameters"] += model.count_params()
        row["seconds"] += seconds
        row[task.name], row["gain"] = self.alone[task.name]["test"], 0.0

    def train(self, name, model, epochs):
        """Trains a network of all tasks."""
        logs, seconds = self._fit(name, model, epochs, self.sets)
        network = getattr(model, "network", model)
        self.models[name] = (self._gain(logs["validation"], "validation"), model)
        self.rows[name] = {
            **{task.name: logs["test"][f"{task.name}_auc"] for task in self.tasks},
            "gain": self._gain(logs["test"], "test"),
            "parameters": network.count_params(),
            "seconds": seconds,
        }

    def _gain(self, logs, part):
        before = {name: values[part] for name, values in self.alone.items()}
        return float(np.mean([logs[f"{k}_auc"] / auc - 1 for k, auc in before.items()]))

    @property
    def baselines(self):
        """The AUCs of the single-task networks on the validation part."""
        return {name: {"auc": values["validation"]} for name, values in self.alone.items()}

    def best(self):
        """Returns the network with the highest mean relative gain on the validation part."""
        name = max(self.models, key=lambda candidate: self.models[candidate][0])
        print(f"chosen by the validation part: {name}")
        return self.models[name][1]

    @staticmethod
    def rounded(weights):
        return {name: round(weight, 2) for name, weight in weights.items()}

    def print_table(self):
        """Prints the AUC on the test part by task, the mean relative gain, size and speed."""
        names = [task.name for task in self.tasks]
        head = [*(f"{name:>14}" for name in names), "     gain", " parameters", " s/epoch"]
        print(f"\n{'test AUC':30}" + "".join(head))
        for name, row in self.rows.items():
            aucs = "".join(f"{row[task]:14.4f}" for task in names)
            rest = f"{row['gain']:+9.2%}{row['parameters']:11,}{row['seconds']:8.1f}"
            print(f"{name:30}{aucs}{rest}")
        print("one seed: differences of 0.001 mean nothing\n")

    def save_figure(self, path):
        """Draws the AUC of each model by task, next to that of the single-task networks."""
        names = [task.name for task in self.tasks]
        figure, panels = plt.subplots(1, len(names), figsize=(4 * len(names), 3), sharey=True)
        for panel, task in zip(panels, names, strict=True):
            values = [row[task] for row in self.rows.values()]
            panel.plot(values, list(self.rows), "o")
            panel.axvline(values[0], color="0.3", linestyle=":")
            panel.margins(x=0.2)
            panel.locator_params(axis="x", nbins=4)  # or long numbers overlap
            panel.set_title(f"{task}: test AUC")
        panels[0].invert_yaxis()
        figure.tight_layout()
        figure.savefig(path, dpi=120)
        print(f"figure: {path}")


def check_served(folder, network, columns):
    """Predicts in a new process that knows TensorFlow only, and compares."""
    expected = network.predict(columns, verbose=0)
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / "columns.npz"
        plain = {name: value.numpy() for name, value in columns.items()}
        texts = {k: v.astype("S") for k, v in plain.items() if v.dtype == object}
        np.savez(path, **(plain | texts))
        command = [sys.executable, "-c", SERVE, str(folder), str(path)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answers = json.loads(output.splitlines()[-1])
    worst = max(
        np.abs(np.array(values) - expected[key].ravel()).max()
        for outputs in answers.values()
        for key, values in outputs.items()
    )
    print(f"served from {folder}: {sorted(answers)}; largest difference {worst:.1e}")
    if worst > 1e-5:
        raise RuntimeError(f"the served predictions differ by {worst}")
