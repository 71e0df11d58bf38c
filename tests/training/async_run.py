"""Trains asynchronously; one worker may be killed on the way."""

import argparse
import json
import os
import pathlib
import signal
import sys
import threading
import time
from typing import Any

import keras
import numpy as np
import small_problem as problem

import keras_mtl as mtl


def kill_later(marker: pathlib.Path) -> None:
    """Kills this process as soon as training has begun, unless one was killed before."""
    while not (marker.parent / "checkpoint" / "backup.npz").exists():
        time.sleep(0.05)
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--staleness", type=lambda text: int(text) if text.isdigit() else text)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--delta", type=float, default=0.0, help="of EarlyStopping")
    arguments = parser.parse_args()
    task = json.loads(os.environ["TF_CONFIG"])["task"]
    if arguments.kill and (task["type"], task["index"]) == ("worker", 1):
        marker = arguments.folder / "killed"
        threading.Thread(target=kill_later, args=(marker,), daemon=True).start()
    servers = mtl.training.parameter_servers()
    with servers.scope():
        rule = mtl.balancers.PCGrad()
        model = mtl.BalancedModel(
            problem.network(), problem.tasks(), rule, at="representation", absent="drift"
        )
        model.compile(keras.optimizers.SGD(0.05))

    backup = mtl.training.Backup(arguments.folder / "checkpoint")
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=arguments.delta)
    result = mtl.training.fit_async(
        model,
        lambda: problem.dataset(4).shuffle(4),
        steps_per_epoch=arguments.steps,
        epochs=arguments.epochs,
        validation_data=problem.dataset(4),
        callbacks=[backup, stop, keras.callbacks.CSVLogger(arguments.folder / "log.csv")],
        staleness=arguments.staleness,
    )
    version = arguments.folder / "export" / str(arguments.epochs)
    mtl.export.saved_model(model.network, problem.tasks(), version)
    values: dict[str, Any] = {
        "steps": result.steps,
        "history": result.history,
        "staleness": {str(worker): taus for worker, taus in result.staleness.items()},
        "rate": result.stable_rate(1.0),
        "iterations": int(model.optimizer.iterations),
        "finite": all(np.isfinite(np.asarray(v)).all() for v in model.trainable_variables),
    }
    (arguments.folder / "result.json").write_text(json.dumps(values))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
