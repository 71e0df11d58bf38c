"""How Ray Train tells its workers who they are."""

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

from keras_mtl.training._cluster._description import ENGINE, addresses_of


def make_config() -> Any:
    """Returns a configuration of Ray's `TensorflowTrainer` whose workers `training.cluster` joins.

    The classes are made here, since Ray is an extra.

    Raises:
        ImportError: If Ray Train is not installed.
    """
    import ray
    from ray.train.backend import Backend
    from ray.train.tensorflow import TensorflowConfig

    class WorkersBackend(Backend):
        """Prepares the workers of a group, also of one that has been started again."""

        def on_start(self, worker_group: Any, backend_config: Any) -> None:
            """Sets `TF_CONFIG` on each worker, not what Ray sets (docs/keras_notes.md, 145)."""
            workers = addresses_of(worker_group.execute(_place))
            ray.get(
                [
                    worker_group.execute_single_async(index, _prepare, workers, index)
                    for index in range(len(workers))
                ]
            )

    class RayConfig(TensorflowConfig):
        """Replaces the backend of Ray's configuration."""

        @property
        def backend_cls(self) -> type[Backend]:
            """The class that prepares the workers."""
            return WorkersBackend

    return RayConfig()


def _place() -> tuple[str, int]:
    from ray.util import get_node_ip_address

    with socket.create_server(("", 0)) as server:  # `training.cluster` listens there next
        return get_node_ip_address(), int(server.getsockname()[1])


def _prepare(workers: Sequence[str], index: int) -> None:
    task = {"type": "worker", "index": index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": list(workers)}, "task": task})
    os.environ[ENGINE] = "Ray Train"
