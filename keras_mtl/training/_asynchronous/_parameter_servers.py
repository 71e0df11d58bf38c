"""`parameter_servers`: the roles of a cluster in which variables live on servers."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

_EXAMPLE = (
    '\'{"cluster": {"chief": ["a:2222"], "worker": ["b:2222", "c:2222"], "ps": ["d:2222"]}, '
    '"task": {"type": "chief", "index": 0}}\''
)


@dataclasses.dataclass(frozen=True)
class ParameterServers:
    """Holds the cluster as its chief sees it.

    Args:
        strategy: The `tf.distribute.ParameterServerStrategy`, inside of whose scope the model is
            built and compiled.
        num_workers: The number of workers.
        num_servers: The number of servers that hold the variables.

    Example:
        >>> import tensorflow as tf
        >>> servers = ParameterServers(tf.distribute.get_strategy(), 2, 1)
        >>> with servers.scope():
        ...     servers.num_workers
        2
    """

    strategy: Any
    num_workers: int
    num_servers: int

    def scope(self) -> Any:
        """Returns the scope in which the model is built and compiled."""
        return self.strategy.scope()


def parameter_servers() -> ParameterServers:
    """Returns the cluster in its chief; workers and servers stay in this call until they end.

    The same script runs in all processes, with `TF_CONFIG` in the environment, as
    `python -m keras_mtl.launch --workers 2 --servers 1 train.py` sets it for one machine:

        servers = mtl.training.parameter_servers()      # only the chief goes on
        with servers.scope():
            model = BalancedModel(network, tasks, balancer)
            model.compile("sgd")
        mtl.training.fit_async(model, make_dataset, steps_per_epoch=1000, epochs=3)

    TensorFlow's port has no password: let nobody else reach it.

    Returns:
        The cluster.

    Raises:
        ValueError: If `TF_CONFIG` does not name a chief, workers and servers.

    Example:
        >>> import keras_mtl as mtl
        >>> mtl.training.parameter_servers()  # without TF_CONFIG
        Traceback (most recent call last):
        ...
        ValueError: TF_CONFIG is not set. Expected, ...
    """
    cluster, kind, index = _read(os.environ)
    import tensorflow as tf

    # The job of the chief is called chief, whoever else is in the cluster.
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster), task_type=kind, task_id=index, rpc_layer="grpc"
    )
    if kind != "chief":
        server = tf.distribute.Server(
            resolver.cluster_spec(), job_name=kind, task_index=index, protocol="grpc"
        )
        server.join()
        raise SystemExit(0)
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    return ParameterServers(strategy, len(cluster["worker"]), len(cluster["ps"]))


def _read(environment: Mapping[str, str]) -> tuple[dict[str, list[str]], str, int]:
    """Reads the addresses by job, and the job and the number of this process."""
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        raise ValueError(f"TF_CONFIG is not set. Expected, in the chief, {_EXAMPLE}.")
    try:
        config = json.loads(text)
        cluster = {job: list(addresses) for job, addresses in config["cluster"].items()}
        kind, index = config["task"]["type"], int(config["task"]["index"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"TF_CONFIG is {text!r} ({error!r}). Expected {_EXAMPLE}.") from error
    if {*cluster} != {"chief", "worker", "ps"} or len(cluster["chief"]) != 1:
        raise ValueError(
            f"TF_CONFIG has the jobs {sorted(cluster)}; expected one 'chief', and 'worker' and "
            f"'ps': {_EXAMPLE}. For steps that wait for all workers use training.cluster."
        )
    if kind not in cluster or not 0 <= index < len(cluster[kind]):
        raise ValueError(f"TF_CONFIG has the task {config['task']}; expected one of the cluster.")
    return cluster, kind, index
