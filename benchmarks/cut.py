"""What one task takes once it is cut out of a network, beside one output of the network.

python benchmarks/cut.py
python benchmarks/cut.py --networks ple --batch-size 1
"""

import argparse
import dataclasses

import keras
import numpy as np
import page_tables

import keras_mtl as mtl

INPUTS = 64
NETWORKS = {
    "hard_sharing": (8, {"shared": (256, 128), "tower": (256, 128)}),
    "cgc": (8, {}),
    "mmoe": (8, {"num_experts": 8, "expert": (256, 128), "tower": (64,)}),
    "ple": (4, {}),
    "snr": (8, {}),
    "mmoeex": (8, {}),
    "cross_stitch": (8, {}),
}


def measure(name: str, batch_size: int, repeats: int) -> list[list[str]]:
    """Returns the rows of a network: whole, with one output of it, and cut."""
    num_tasks, arguments = NETWORKS[name]
    tasks = [mtl.Task.binary(f"task_{i}") for i in range(num_tasks)]
    network = getattr(mtl.architectures, name)(keras.Input((INPUTS,)), tasks, **arguments)
    task = tasks[num_tasks // 2].name
    cut = mtl.export.single_task(network, task)
    x = np.random.default_rng(0).normal(size=(batch_size, INPUTS)).astype("float32")
    difference = np.abs(network(x)[task] - cut(x)[task]).max()
    # Keras's own way leaves out layers, but no part of one.
    one = keras.Model(network.input, {task: network.output[task]})
    footprints = mtl.export.footprint(
        {"whole": network, "one output": one, "cut": cut},
        batch_size=batch_size,
        repeats=repeats,
    )
    rows = []
    for label in ("whole", "one output", "cut"):
        footprint = dataclasses.astuple(footprints[label])
        parameters, size, flops, milliseconds = footprint
        error = f"{difference:.0e}" if label == "cut" else ""
        counts = [f"{count:,}" for count in (parameters, size, flops)]
        rows.append([f"{name}, {num_tasks} tasks", label, *counts, f"{milliseconds:.2f}", error])
    return rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=[*NETWORKS], choices=[*NETWORKS])
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=50)
    page_tables.add_option(parser)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    header = ["network", "what", "parameters", "bytes", "FLOPs per row", "ms", "difference"]
    table = page_tables.Table("cut", header, arguments.record, keys=2)
    for name in arguments.networks:
        for row in measure(name, arguments.batch_size, arguments.repeats):
            table.add(*row)
    table.keep()


if __name__ == "__main__":
    main()
