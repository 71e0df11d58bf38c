"""Bytes and seconds of a SavedModel with many tasks: its graph, its export, and its loading.

    python benchmarks/export_size.py                        # about three minutes on a quiet core
    python benchmarks/export_size.py hard_sharing:50 mmoe:50

Each row is a process of its own. `seconds` are those of the processor, since others may keep the
machine busy; floats are those of the variables that were written.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import page_tables

OPTIONS = {
    "hard_sharing": {"shared": (64,), "tower": (16,)},
    "mmoe": {"num_experts": 4, "expert": (32,), "tower": (16,)},
    "aitm": {"shared": (64,), "tower": (16,)},
}
CASES = ("hard_sharing:2", "hard_sharing:8", "hard_sharing:50", "hard_sharing:200")
CASES += ("aitm:50", "mmoe:50", "mmoe:200")


def measure(name, count):
    """Exports one network; returns what is known of it."""
    import keras
    import tensorflow as tf

    import keras_mtl as mtl

    tasks = [mtl.Task.binary(f"task_{i}") for i in range(count)]
    inputs = keras.Input((32,), name="x")
    network = getattr(mtl.architectures, name)(inputs, tasks, **OPTIONS[name])
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "1"
        start = time.process_time()
        mtl.export.saved_model(network, tasks, folder)
        exported = time.process_time()
        tf.saved_model.load(folder)
        loaded = time.process_time()
        reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        keys = [key for key in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in key]
        floats = sum(reader.get_tensor(key).size for key in keys)
        graph = (folder / "saved_model.pb").stat().st_size
    return {
        "parameters": network.count_params(),
        "floats": int(floats),
        "graph": graph,
        "export": exported - start,
        "load": loaded - exported,
    }


def main(cases, record):
    """Prints a row per case."""
    header = ["network", "tasks", "parameters", "floats", "saved_model.pb, MB", "export, s"]
    table = page_tables.Table("export_size", [*header, "load, s"], record, keys=2)
    for case in cases:
        command = [sys.executable, __file__, "--child", case]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        facts = json.loads(lines.splitlines()[-1])
        name, count = case.split(":")
        cells = [name, count, f"{facts['parameters']:,}", f"{facts['floats']:,}"]
        cells += [f"{facts['graph'] / 1e6:.2f}", f"{facts['export']:.1f}", f"{facts['load']:.1f}"]
        table.add(*cells)
    table.keep()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=CASES, help="like mmoe:50")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    page_tables.add_option(parser)
    options = parser.parse_args()
    if options.child:
        name, count = options.child.split(":")
        print(json.dumps(measure(name, int(count))))
    else:
        main(options.cases, options.record)
