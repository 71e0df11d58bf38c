"""Bytes, milliseconds and AUC by task of a network on Census-Income in each format and precision.

    python benchmarks/quantized.py                      # the small configuration, two minutes
    python benchmarks/quantized.py --config full --epochs 12

One network of hard sharing on the 38 raw columns, 31 of them text, trained with AdamW and a cosine
decay; the encoder is a part of all files. Test rows alone are compared, and no choice is made on
them. The command fails if float16 or LiteRT's int8 lose more than .001 of the AUC of a task.
"""

import argparse
import os
import pathlib
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import page_tables

import keras_mtl as mtl

LONG_TAILED = ("capital_gains", "capital_losses", "dividends", "wage_per_hour")


def train(config, epochs, folder):
    """Returns a trained network of raw columns, its tasks, and the test rows."""
    keras.utils.set_random_seed(0)
    tasks = mtl.datasets.census_income_tasks()
    rows = {
        part: mtl.datasets.census_income(part, config=config, batch_size=4096, data_dir=folder)
        for part in ("train", "test")
    }
    encoder = mtl.data.tabular_encoder(rows["train"], log=LONG_TAILED)
    features = mtl.data.embed_columns(encoder, units=8)
    network = mtl.architectures.hard_sharing(features, tasks, shared=(256, 128), tower=(64,))
    encoded = [(encoder(columns).numpy(), labels) for columns, labels in rows["train"]]
    x = np.concatenate([codes for codes, _ in encoded])
    y = {task.name: np.concatenate([y[task.name] for _, y in encoded]) for task in tasks}
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(x) // 512))
    network.compile(keras.optimizers.AdamW(rate, weight_decay=1e-4), **mtl.compile_args(tasks))
    network.fit(x, y, batch_size=512, epochs=epochs, verbose=0)
    return mtl.data.with_preprocessing(encoder, network), tasks, rows["test"]


def export_all(network, tasks, folder):
    """Returns all artifacts by name, the SavedModel first."""
    version = mtl.export.saved_model(network, tasks, pathlib.Path(folder) / "census" / "1")
    return {
        "SavedModel float32": version,
        "ONNX float32": mtl.export.onnx(version),
        "ONNX int8": mtl.export.onnx(version, quantize="int8"),
        "LiteRT float32": mtl.export.litert(version),
        "LiteRT float16": mtl.export.litert(version, quantize="float16"),
        "LiteRT int8": mtl.export.litert(version, quantize="int8"),
    }


def add_table(result, record):
    """Prints a row per artifact: its cost, and how its predictions differ."""
    by_artifact = {}
    for row in result.rows:
        by_artifact.setdefault(row.artifact, []).append(row)
    tasks = [row.task for row in result.rows if row.artifact == result.artifacts[0].name]
    header = ["artifact", "bytes", "ms", *(f"AUC {task}" for task in tasks), "ECE"]
    table = page_tables.Table("quantized", [*header, "99.9 % change", "largest change"], record)
    for size in result.artifacts:
        rows = by_artifact[size.name]
        table.add(
            size.name,
            f"{size.bytes:,}",
            f"{size.milliseconds:.3g}",
            *(f"{row.score:.4f}" for row in rows),
            " ".join(f"{row.ece:.4f}" for row in rows),
            f"{max(row.usual_change for row in rows):.2g}",
            f"{max(row.largest_change for row in rows):.2g}",
        )
    table.keep()


def main():
    """Trains, exports, and prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="small", choices=("small", "full"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--data", help="folder of prepared data sets")
    page_tables.add_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        network, tasks, test = train(options.config, options.epochs, options.data or folder)
        print(f"{network.count_params():,} parameters")
        exports = export_all(network, tasks, folder)
        batches = test.unbatch().batch(options.batch)
        result = mtl.export.compare(exports, batches, tasks, tolerance=0.001)
        print(f"{result}\n")
        add_table(result, options.record)


if __name__ == "__main__":
    main()
