"""How Ray Train tells its workers who they are; imported where Ray is installed, and only then."""

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

import ray
from ray.train.backend import Backend
from ray.train.tensorflow import TensorflowConfig
from ray.util import get_node_ip_address

from keras_mtl.training._cluster._description import ENGINE, addresses_of


class RayConfig(TensorflowConfig):
    """Replaces the backend of Ray's `TensorflowTrainer` by one that `training.cluster` joins."""

    @property
    def backend_cls(self) -> type[Backend]:
        """The class that prepares the workers."""
        return _RayBackend


class _RayBackend(Backend):
    """Prepares the workers of a group, also of one that has been started again."""

    def on_start(self, worker_group: Any, backend_config: TensorflowConfig) -> None:
        """Sets `TF_CONFIG` on each worker, and nothing else (docs/keras_notes.md, 145)."""
        places = worker_group.execute(_place)
        workers = addresses_of(places)
        ray.get(
            [
                worker_group.execute_single_async(index, _prepare, workers, index)
                for index in range(len(workers))
            ]
        )


def _place() -> tuple[str, int]:
    with socket.create_server(("", 0)) as server:  # `training.cluster` listens there next
        return get_node_ip_address(), int(server.getsockname()[1])


def _prepare(workers: Sequence[str], index: int) -> None:
    task = {"type": "worker", "index": index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": list(workers)}, "task": task})
    os.environ[ENGINE] = "Ray Train"
