"""Trains with a backup after each epoch; with `--kill`, kills itself in the middle of an epoch."""

import argparse
import os
import signal
from typing import Any

import every_balancer
import keras
import numpy as np
import small_problem as problem


class Killer(keras.callbacks.Callback):
    """Ends the process at once, as a lost machine would, in the fourth epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.epoch == 3 and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--balancer", required=True)
    parser.add_argument("--backup", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--kill", action="store_true")
    arguments = parser.parse_args()
    balancer = every_balancer.make(arguments.balancer)
    network = every_balancer.network(balancer)
    _, every = every_balancer.ways(arguments.balancer)[-1]
    model = problem.balanced(
        balancer, lambda: network, optimizer=keras.optimizers.Adam(0.01), every=every
    )
    backup = keras.callbacks.BackupAndRestore(arguments.backup, save_freq="epoch")
    callbacks = [backup, Killer()] if arguments.kill else [backup]
    history = model.fit(
        problem.dataset(3),
        epochs=5,
        verbose=0,
        callbacks=callbacks,
        **every_balancer.more_data(balancer),
    ).history
    values = [*model.variables, *model.optimizer.variables]
    named: dict[str, Any] = {f"{i:03}": np.array(value) for i, value in enumerate(values)}
    np.savez(arguments.out, epochs=len(history["loss"]), loss=history["loss"][-1], **named)


if __name__ == "__main__":
    main()
