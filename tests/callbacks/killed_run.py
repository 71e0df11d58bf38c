"""Trains until the tasks stall, keeping the best weights; with `--kill-...-at`, kills itself."""

import argparse
import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
import watched_problem as problem

from keras_mtl import callbacks
from keras_mtl.callbacks._refitting._best_heads import BestHeads


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


def kill_refit(at: int) -> None:
    """Makes the refit of heads kill the process after an epoch."""
    end = BestHeads.on_epoch_end

    def kill(self: Any, epoch: int, logs: Any = None) -> None:
        end(self, epoch, logs)
        if epoch == at:
            os.kill(os.getpid(), signal.SIGKILL)

    mock.patch.object(BestHeads, "on_epoch_end", kill).start()


def main() -> None:
    """Trains, and writes the weights and what the callbacks know."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--kill-at", type=int, default=-1)
    parser.add_argument("--refit", action="store_true")
    parser.add_argument("--kill-refit-at", type=int, default=-1)
    arguments = parser.parse_args()
    kill_refit(arguments.kill_refit_at)
    folder = Path(arguments.folder)
    model = problem.make()
    rows = tf.data.Dataset.from_tensor_slices((problem.FIT["x"], problem.FIT["y"])).batch(16)
    refit = callbacks.RefitHeads(rows, problem.FIT["validation_data"], epochs=6)
    keep = callbacks.KeepBest(
        problem.TASKS, folder / "best.weights.h5", keep=refit if arguments.refit else "aggregate"
    )
    stop = callbacks.StopByTasks(
        problem.TASKS, stop="any", patience=3, state_file=folder / "stop.json"
    )
    backup = keras.callbacks.BackupAndRestore(str(folder / "backup"), save_freq="epoch")
    model.fit(**problem.FIT, epochs=30, callbacks=[keep, stop, backup, Killer(arguments.kill_at)])
    values: dict[str, Any] = {f"{i:03}": np.array(v) for i, v in enumerate(model.get_weights())}
    stopped = -1 if stop.stopped_epoch is None else stop.stopped_epoch
    values |= {"stopped": stopped, "best": keep.best_epoch}
    np.savez(folder / "out.npz", **values)


if __name__ == "__main__":
    main()
