"""A check of the served model of the quickstart, in a process that knows TensorFlow only."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

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


def check(folder, network, columns):
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
