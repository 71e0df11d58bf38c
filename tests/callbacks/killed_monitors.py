"""Trains with monitors and TensorBoard; with `--kill-at`, kills itself in that epoch."""

import argparse
from pathlib import Path
from typing import Any

import keras
import monitored_problem as problem
from killed_run import Killer

import keras_mtl as mtl
from keras_mtl.callbacks import AffinityMonitor, ConflictMonitor, TensorBoardTasks


def main() -> None:
    """Trains, and writes the records of the monitors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--kill-at", type=int, default=-1)
    arguments = parser.parse_args()
    folder = Path(arguments.folder)
    # BackupAndRestore does not restore the seeds of dropout.
    model = problem.make(mtl.balancers.Equal(), dropout=0.0)
    options: dict[str, Any] = {"every": 3, "unit": "steps"}
    callbacks = [
        AffinityMonitor(problem.TASKS, problem.rows(), file=folder / "a.jsonl", **options),
        ConflictMonitor(problem.TASKS, problem.rows(), file=folder / "c.jsonl", **options),
        TensorBoardTasks(problem.TASKS, folder / "board", hparams={"rate": 0.001}),
        keras.callbacks.BackupAndRestore(str(folder / "backup"), save_freq="epoch"),
        Killer(arguments.kill_at),
    ]
    model.fit(problem.rows(), epochs=4, callbacks=callbacks, verbose=0)


if __name__ == "__main__":
    main()
