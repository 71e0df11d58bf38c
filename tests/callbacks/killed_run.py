"""Trains until the tasks stall, keeping the best weights; with `--kill-at`, kills itself."""

import argparse
import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import watched_problem as problem

from keras_mtl import callbacks


class Killer(keras.callbacks.Callback):
    """Ends the process at once, as a lost machine would, in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.at = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remembers the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Kills the process."""
        if self.epoch == self.at and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Trains, and writes the weights and what the callbacks know."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--kill-at", type=int, default=-1)
    arguments = parser.parse_args()
    folder = Path(arguments.folder)
    model = problem.make()
    keep = callbacks.KeepBest(problem.TASKS, folder / "best.weights.h5")
    stop = callbacks.StopByTasks(
        problem.TASKS, stop="any", patience=3, state_file=folder / "stop.json"
    )
    backup = keras.callbacks.BackupAndRestore(str(folder / "backup"), save_freq="epoch")
    model.fit(**problem.FIT, epochs=30, callbacks=[keep, stop, backup, Killer(arguments.kill_at)])
    values: dict[str, Any] = {f"{i:03}": np.array(v) for i, v in enumerate(model.get_weights())}
    values |= {"stopped": stop.stopped_epoch, "best": keep.best_epoch}
    np.savez(folder / "out.npz", **values)


if __name__ == "__main__":
    main()
