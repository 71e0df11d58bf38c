"""The addresses of all workers and the place of this process among them, from its environment."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

ENGINE = "KERAS_MTL_ENGINE"
"""The variable in which an engine that sets `TF_CONFIG` says who it is."""

_LOOPBACK = "127.0.0.1"
_PORT = 2222
_SLURM_PORT = 8888


@dataclasses.dataclass(frozen=True)
class Description:
    """Holds the workers of a cluster.

    Args:
        workers: `host:port` of each, the chief first.
        index: Which of them this process is.
        source: Where this was read: "TF_CONFIG", "Ray Train", "Slurm", "Kubernetes", or "one
            process".
    """

    workers: tuple[str, ...]
    index: int
    source: str

    @property
    def address(self) -> str:
        """`host:port` of this process."""
        return self.workers[self.index]

    def as_tf_config(self) -> str:
        """Returns the JSON that TensorFlow reads from `TF_CONFIG`."""
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": list(self.workers)}, "task": task})


def addresses_of(places: Sequence[tuple[str, int]]) -> list[str]:
    """Returns `host:port` of each worker.

    Workers of one machine talk over its loopback: the outer address of a machine, which Ray would
    put here, may not lead back to it, and TensorFlow's ports have no password.

    Args:
        places: The address of each worker's machine, and a free port there.
    """
    hosts = {host for host, _ in places}
    return [f"{_LOOPBACK if len(hosts) == 1 else host}:{port}" for host, port in places]


def read_description(environment: Mapping[str, str]) -> Description:
    """Reads the first of `TF_CONFIG`, Slurm and Kubernetes that says something.

    Raises:
        ValueError: If what it says does not fit.
    """
    if environment.get("TF_CONFIG", "").strip():
        return _read_tf_config(environment["TF_CONFIG"], environment.get(ENGINE, "TF_CONFIG"))
    if environment.get("SLURM_STEP_NUM_TASKS", "1") not in ("", "0", "1"):
        return _read_slurm(environment)
    if "JOB_COMPLETION_INDEX" in environment:
        return _read_kubernetes(environment)
    return Description((f"{_LOOPBACK}:0",), 0, "one process")


def _read_tf_config(text: str, source: str) -> Description:
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise _wrong(f"is no JSON ({error})", text) from error
    if not isinstance(config, Mapping) or not isinstance(config.get("cluster", {}), Mapping):
        raise _wrong("is no object with a 'cluster'", text)
    cluster, task = config.get("cluster") or {}, config.get("task") or {}
    if not cluster:
        return Description((f"{_LOOPBACK}:0",), 0, "one process")
    other_jobs = sorted(set(cluster) - {"chief", "worker"})
    if other_jobs:
        raise _wrong(
            f"has the jobs {other_jobs}; a cluster that trains in step has 'worker', and at most "
            "one 'chief'. Start evaluators without TF_CONFIG",
            text,
        )
    jobs = {name: _addresses(name, cluster.get(name, []), text) for name in ("chief", "worker")}
    workers = (*jobs["chief"], *jobs["worker"])
    if len({*workers}) < len(workers):
        raise _wrong("names an address twice", text)
    kind, index = task.get("type"), task.get("index")
    if kind not in jobs or not isinstance(index, int) or not 0 <= index < len(jobs[kind]):
        raise _wrong(
            f"has the task {dict(task)}; expected a 'type' of the cluster and an 'index' of it",
            text,
        )
    return Description(workers, index + (len(jobs["chief"]) if kind == "worker" else 0), source)


def _addresses(job: str, addresses: Any, text: str) -> list[str]:
    if not isinstance(addresses, list) or not all(
        isinstance(address, str) and re.fullmatch(r"[^\s:/]+:\d{1,5}", address)
        for address in addresses
    ):
        raise _wrong(f"has {addresses!r} as {job!r}; expected a list of 'host:port'", text)
    return addresses


def _read_slurm(environment: Mapping[str, str]) -> Description:
    import tensorflow as tf

    num_tasks = environment["SLURM_STEP_NUM_TASKS"]
    try:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            {"worker": int(num_tasks)},
            port_base=_SLURM_PORT,
            gpus_per_node=int(num_tasks),  # not used: without a number it asks the driver
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        workers = resolver.cluster_spec().job_tasks("worker")
        _, index = resolver.get_task_info()
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"Slurm has started {num_tasks} tasks, and its variables do not say where ({error}). "
            "Start the script by `srun`, with the same number of tasks on each node."
        ) from error
    return Description(tuple(workers), int(index), "Slurm")


def _read_kubernetes(environment: Mapping[str, str]) -> Description:
    """Reads an Indexed Job whose pods have a headless service: `<job>-<index>.<service>`."""
    index = environment["JOB_COMPLETION_INDEX"]
    missing = [name for name in _KUBERNETES if not environment.get(name)]
    if missing:
        raise ValueError(
            f"JOB_COMPLETION_INDEX is {index!r}, so this is a pod of an Indexed Job, and "
            f"{missing} are not set. Set KERAS_MTL_WORKERS to the number of pods and "
            "KERAS_MTL_SERVICE to the name of their headless service."
        )
    host, count = environment["HOSTNAME"], environment["KERAS_MTL_WORKERS"]
    if not count.isdigit() or not index.isdigit() or not int(index) < int(count):
        raise ValueError(
            f"JOB_COMPLETION_INDEX is {index!r} and KERAS_MTL_WORKERS {count!r}; expected an index "
            "below the number of workers."
        )
    port = environment.get("KERAS_MTL_PORT", str(_PORT))
    if not port.isdigit():
        raise ValueError(f"KERAS_MTL_PORT is {port!r}; expected a number.")
    job = host.removesuffix(f"-{index}")
    if job == host:
        raise ValueError(
            f"HOSTNAME is {host!r}; expected the name of the job and '-{index}'. Keep the host "
            "names that Kubernetes gives to the pods of an Indexed Job."
        )
    service = environment["KERAS_MTL_SERVICE"]
    workers = tuple(f"{job}-{i}.{service}:{port}" for i in range(int(count)))
    return Description(workers, int(index), "Kubernetes")


_KUBERNETES = ("HOSTNAME", "KERAS_MTL_WORKERS", "KERAS_MTL_SERVICE")


def _wrong(what: str, text: str) -> ValueError:
    return ValueError(
        f"TF_CONFIG {what}. It is {text!r}; expected, for the second of two workers, "
        '\'{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", '
        '"index": 1}}\'.'
    )
