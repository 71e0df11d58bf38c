"""Starts processes that work on the trials of a search, and replaces those that end."""

import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import tensorflow as tf

from keras_mtl.tuning._optuna._plan import Plan, keras_settings
from keras_mtl.tuning._optuna._study import take_back_trials
from keras_mtl.tuning._workers._datasets import pack_dataset
from keras_mtl.tuning._workers._files import ERROR, LOG, WORK

_POLL = 0.1  # seconds
_MAX_REPLACED = 20  # processes
_LAST_CHARACTERS = 1500  # of a log, in an error


def run_workers(study: Any, plan: Plan, train: Any, validation: Any, num_workers: int) -> None:
    """Works on the trials of a study with several processes of this machine.

    A process that ends before its trial does (killed, or out of memory) is replaced by another
    one, and the same hyper-parameters are tried again.

    Raises:
        Exception: What stopped a worker, such as a network that lacks an output.
        RuntimeError: If too many processes ended without saying why.
    """
    folder = plan.folder / "workers"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("error-*.pickle"):
        old.unlink()
    data = pack_dataset(train, "train"), pack_dataset(validation, "validation")
    (folder / WORK).write_bytes(_pickle((plan, keras_settings(), *data)))
    workers = {index: _start(folder, index, num_workers) for index in range(num_workers)}
    replaced = 0
    try:
        while workers:
            time.sleep(_POLL)
            for index in [i for i, worker in workers.items() if worker.poll() is not None]:
                worker = workers.pop(index)
                _close(worker)
                if worker.returncode == 0:
                    continue
                _raise_error(folder, index)
                take_back_trials(study, plan)
                replaced += 1
                if replaced > _MAX_REPLACED:
                    raise RuntimeError(
                        f"{replaced} worker processes ended before their trials did; the last one "
                        f"with exit code {worker.returncode}. Its log ends so: "
                        + _end_of_log(folder, index)
                    )
                workers[num_workers + replaced] = _start(
                    folder, num_workers + replaced, num_workers
                )
    finally:
        for worker in workers.values():
            _close(worker)


def _pickle(work: Any) -> bytes:
    import cloudpickle  # It carries closures and lambdas.

    try:
        return bytes(cloudpickle.dumps(work))
    except Exception as error:
        raise TypeError(
            "build, the tasks or the callbacks cannot be sent to the workers "
            f"({type(error).__name__}: {error}). Make what they hold inside build, or pass "
            "workers=1."
        ) from error


def _start(folder: pathlib.Path, index: int, num_workers: int) -> subprocess.Popen[bytes]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = str(max(1, (cores or 1) // num_workers))
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **os.environ,
        "TF_NUM_INTRAOP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        # Modules of functions that are pickled by their names.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    num_devices = len(tf.config.list_physical_devices("GPU"))
    if num_devices > 1 and "CUDA_VISIBLE_DEVICES" not in os.environ:
        environment["CUDA_VISIBLE_DEVICES"] = str(index % num_devices)
    command = [sys.executable, "-m", "keras_mtl.tuning._workers._worker", str(folder), str(index)]
    with (folder / LOG.format(index)).open("wb") as log:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
        )


def _close(worker: subprocess.Popen[bytes]) -> None:
    """Ends a process, if it has not ended, and closes the pipe to it."""
    with worker:
        worker.kill()


def _raise_error(folder: pathlib.Path, index: int) -> None:
    """Raises the error that a worker wrote, if it did."""
    import cloudpickle

    record = folder / ERROR.format(index)
    if record.exists():
        raise cloudpickle.loads(record.read_bytes())


def _end_of_log(folder: pathlib.Path, index: int) -> str:
    text = (folder / LOG.format(index)).read_text(errors="replace").strip()
    return text[-_LAST_CHARACTERS:] or "(nothing)"
