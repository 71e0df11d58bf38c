"""The strategy of all workers, made once per process."""

import dataclasses
import hashlib
import os
import pathlib
import sys
from importlib import metadata
from typing import Any

from keras_mtl._replicas import strategy as strategy_of_machine
from keras_mtl.training._cluster._description import Description, read_description
from keras_mtl.training._cluster._rendezvous import meet

_WORKER_OF_RAY = "default_worker.py"
_PACKAGES = ("keras-mtl", "tensorflow", "keras", "numpy")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Holds the workers that train together, and the place of this process among them.

    Args:
        workers: `host:port` of each worker, the chief first.
        index: Which of them this process is.
        source: What said so: "TF_CONFIG", "Ray Train", "Slurm", "Kubernetes", or "one process".
        strategy: The `tf.distribute.Strategy` inside of whose scope models are built and compiled:
            `MultiWorkerMirroredStrategy` for several workers; for one process that of
            `training.strategy`, which is `MirroredStrategy` for several GPUs.

    Example:
        >>> import keras_mtl as mtl
        >>> cluster = mtl.training.cluster()
        >>> len(cluster), cluster.is_chief
        (1, True)
    """

    workers: tuple[str, ...]
    index: int
    source: str
    strategy: Any

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes exports, reports and logs."""
        return self.index == 0

    def __len__(self) -> int:
        return len(self.workers)


def cluster(*, timeout: float = 300.0) -> Cluster:
    """Returns the workers that train together, with the strategy that joins them.

    The same script runs on all workers and calls this first, before anything else of TensorFlow:

        cluster = mtl.training.cluster()
        with cluster.strategy.scope():
            model = BalancedModel(network, tasks, balancer)
            model.compile("adam")
        model.fit(dataset)          # batches of the *global* batch size; each worker takes its part
        if cluster.is_chief:
            mtl.export.saved_model(network, tasks, "saved_models/1")

    `fit` then makes the same steps as one process with the same global batch: balancers see
    statistics of all workers. Who the workers are is read from the environment:

    - `TF_CONFIG`, which `python -m keras_mtl.launch --workers 2 train.py` sets for processes of
      one machine, and which Kubeflow and others set; on a Ray cluster, Ray Train with
      `training.ray_config`;
    - Slurm: `srun python train.py`;
    - an Indexed Job of Kubernetes with `KERAS_MTL_WORKERS` and `KERAS_MTL_SERVICE`, the number of
      pods and the name of their headless service (port 2222, or `KERAS_MTL_PORT`);
    - otherwise this process trains alone, with all of its GPUs.

    Workers first meet at their own addresses, so that one that is missing, or that runs another
    script, or has other arguments or packages, ends all of them with a sentence; TensorFlow would
    wait, or train on. A worker that dies later ends the others within seconds: they cannot go on,
    and the job starts again.

    Choose it when a step is too slow for one machine. Not for many small networks, such as trials
    of a search: those are independent, and workers of `tuning.search` do better. The slowest link
    decides: with a rule at the parameters, each step sends K times the shared parameters.

    Args:
        timeout: The number of seconds to wait for the other workers.

    Returns:
        The cluster. A second call in the same process returns the same one: TensorFlow allows one
        strategy of several workers per process.

    Raises:
        OSError: If another program has the port of this worker.
        RuntimeError: If TensorFlow has started before, so that no worker can be joined, this
            process has joined another cluster, or Ray Train has started it without
            `training.ray_config`.
        TimeoutError: If a worker does not appear in time.
        ValueError: If the environment does not fit, or workers differ.

    Example:
        >>> import keras_mtl as mtl
        >>> cluster = mtl.training.cluster()
        >>> cluster.source, cluster.strategy.num_replicas_in_sync
        ('one process', 1)
        >>> mtl.training.cluster() is cluster
        True
    """
    known = _CLUSTERS.get("cluster")
    description = read_description(os.environ)
    if known is not None:
        if (known.workers, known.index) != (description.workers, description.index):
            raise RuntimeError(
                f"this process has joined the workers {list(known.workers)} as number "
                f"{known.index}, and its environment now says {list(description.workers)}, number "
                f"{description.index}. A process joins one cluster; start another process."
            )
        return known
    if len(description.workers) > 1:
        _check_engine(description.source)
        meet(description, _facts(description.source), timeout)
        strategy = _join(description)
    else:
        strategy = strategy_of_machine()
    cluster = Cluster(description.workers, description.index, description.source, strategy)
    _CLUSTERS["cluster"] = cluster
    return cluster


def is_chief() -> bool:
    """Returns whether this process is the one that writes exports, reports and logs.

    It reads the same environment as `training.cluster`, and may be called before it and in
    processes that train alone, where it is always true. Weights are the same on all workers, so
    that one of them is enough to write; two that write to the same file destroy it.

    Raises:
        ValueError: If the environment does not fit.

    Example:
        >>> import keras_mtl as mtl
        >>> mtl.training.is_chief()
        True
    """
    known = _CLUSTERS.get("cluster")
    return (known or read_description(os.environ)).index == 0


_CLUSTERS: dict[str, Cluster] = {}


def _join(description: Description) -> Any:
    import tensorflow as tf

    # Whatever has said who the workers are: one list of workers, of which the first one is chief.
    os.environ["TF_CONFIG"] = description.as_tf_config()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise RuntimeError(
            f"TensorFlow cannot join the workers ({error}). Call training.cluster() first in the "
            "script: before tensors, datasets, layers and models are made, and before any other "
            "strategy."
        ) from error


def _check_engine(source: str) -> None:
    started_by_ray = pathlib.Path(sys.argv[0] if sys.argv else "").name == _WORKER_OF_RAY
    if started_by_ray and source != "Ray Train":
        raise RuntimeError(
            "Ray has started this process with a configuration of its own. Pass "
            "tensorflow_config=training.ray_config() to TensorflowTrainer."
        )


def _facts(source: str) -> dict[str, str]:
    """Returns what has to be the same on all workers: the script, and the packages."""
    facts = {name: _version(name) for name in _PACKAGES}
    if source == "Ray Train":  # sends one function to all workers, whose script is Ray's own
        return facts
    script = pathlib.Path(sys.argv[0]) if sys.argv and sys.argv[0] else None
    if script is not None and script.is_file():
        facts["script"] = hashlib.sha256(script.read_bytes()).hexdigest()[:12]
    facts["arguments"] = " ".join(sys.argv[1:])
    return facts


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
