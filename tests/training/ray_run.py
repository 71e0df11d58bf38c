"""Trains on two workers that Ray Train starts on this machine; one of them may be killed, once."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import tempfile
from typing import Any

import keras
import numpy as np
import ray
import small_problem as problem
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.tensorflow import TensorflowTrainer

import keras_mtl as mtl


class Harm(keras.callbacks.Callback):
    """Kills this process in the second epoch, if no process was killed before."""

    def __init__(self, marker: pathlib.Path) -> None:
        super().__init__()
        self.marker = marker
        self.epoch = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == (1, 2) and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def train(config: dict[str, Any]) -> dict[str, Any]:
    """Runs on each worker."""
    folder = pathlib.Path(config["folder"])
    cluster = mtl.training.cluster(timeout=60)
    with cluster.strategy.scope():
        model = mtl.BalancedModel(problem.network(), problem.tasks(), mtl.balancers.DWA())
        model.compile(keras.optimizers.Adam(0.01))
    backup = mtl.training.Backup(folder / "backup", every=2)
    callbacks: list[Any] = [backup, mtl.training.RayReport()]
    if config["harm"] and cluster.index == 1:
        callbacks.append(Harm(folder / "killed"))
    data = problem.dataset(5).shuffle(5, seed=4)
    history = model.fit(data, epochs=4, verbose=0, callbacks=callbacks).history
    variables = (*model.variables, *model.optimizer.variables)
    arrays = [keras.ops.convert_to_numpy(variable) for variable in variables]
    values = {f"variable_{i:03}": array for i, array in enumerate(arrays)}
    values |= {f"log_{name}": np.array(log[-2:]) for name, log in history.items()}
    np.savez(folder / f"end_{cluster.index}.npz", **values)
    return {
        "workers": list(cluster.workers),
        "source": cluster.source,
        "resumed": backup.resumed,
        "legacy": os.environ.get("TF_USE_LEGACY_KERAS"),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--harm", action="store_true")
    arguments = parser.parse_args()
    session = tempfile.mkdtemp(prefix="ray_")  # short: the names of sockets lie below it
    try:
        ray.init(
            num_cpus=3,
            include_dashboard=False,
            object_store_memory=100 * 2**20,
            _node_ip_address="127.0.0.1",
            _temp_dir=session,
        )
        result = TensorflowTrainer(
            train,
            train_loop_config={"folder": str(arguments.folder), "harm": arguments.harm},
            tensorflow_config=mtl.training.ray_config(),
            scaling_config=ScalingConfig(num_workers=2),
            run_config=RunConfig(
                name="run",
                storage_path=str(arguments.folder / "ray"),
                failure_config=FailureConfig(max_failures=1),
            ),
        ).fit()
    finally:
        ray.shutdown()
        shutil.rmtree(session, ignore_errors=True)
    facts = {"metrics": result.metrics, "checkpoint": result.checkpoint.path}
    (arguments.folder / "result.json").write_text(json.dumps({**result.return_value, **facts}))


if __name__ == "__main__":
    main()
