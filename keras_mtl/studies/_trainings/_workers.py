"""Processes that train."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import cloudpickle
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from keras_mtl.studies._contenders._settings import Settings
from keras_mtl.studies._trainings._job import Job
from keras_mtl.studies._trainings._record import Training
from keras_mtl.studies._trainings._train import Setup, record_outcome, train

_MAX_STARTS = 3
"""How often a training is started whose process was killed."""

_setup: Setup | None = None  # of this process, if it is a worker


def train_in_processes(jobs: Sequence[Job], setup: Setup, workers: int) -> Iterator[Training]:
    """Trains in several processes; yields the records as trainings end.

    A training whose process was killed is started again, and counts as failed after three times.

    Raises:
        TypeError: If a contender or the data cannot be sent to another process.
    """
    try:
        content = cloudpickle.dumps(setup)
        packed = {job.path: cloudpickle.dumps(job) for job in jobs}
    except Exception as error:
        raise TypeError(
            f"workers={workers} sends contenders, tasks and data to other processes, and they "
            f"cannot be sent ({type(error).__name__}: {error}). Let train, validation and test be "
            "functions that make the datasets, or pass workers=1."
        ) from error
    left = {job.path: job for job in jobs}
    starts = dict.fromkeys(left, 0)
    while left:
        pool = ProcessPoolExecutor(
            workers, initializer=_begin, initargs=(content, workers, os.getpid())
        )
        try:
            for training, path in _run_pool(pool, workers, left, packed, starts):
                del left[path]
                yield training
        except TerminatedWorkerError:
            for path in [path for path in left if starts[path] >= _MAX_STARTS]:
                yield _give_up(left.pop(path), setup)
        finally:
            pool.shutdown(wait=True, kill_workers=True)


def _run_pool(
    pool: Any,
    workers: int,
    left: dict[str, Job],
    packed: dict[str, bytes],
    starts: dict[str, int],
) -> Iterator[tuple[Training, str]]:
    """Yields records until all jobs are done. At most one job per worker waits in the pool."""
    waiting = list(left)
    running: dict[Future[Training], str] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            path = waiting.pop(0)
            starts[path] += 1
            running[pool.submit(_train, packed[path])] = path
        ended, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            yield future.result(), running.pop(future)


def _give_up(job: Job, setup: Setup) -> Training:
    error = f"its process was killed {_MAX_STARTS} times, as happens when memory is short"
    outcome = {"state": "failed", "error": error}
    return record_outcome(job, job.settings or Settings(), setup, outcome)


def _begin(content: bytes, workers: int, parent: int) -> None:
    """Prepares a process: its share of the cores, and an end when its parent ends."""
    import tensorflow as tf

    global _setup
    threads = max(1, (os.cpu_count() or 1) // workers)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _setup = cloudpickle.loads(content)
    _setup.keras.apply()


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent was killed, be that before this call."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _train(job: bytes) -> Training:
    assert _setup is not None
    return train(cloudpickle.loads(job), _setup)
