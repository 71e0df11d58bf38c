"""The command `python -m keras_mtl.launch --workers N SCRIPT ARGUMENTS`.

It starts N processes of a script on this machine, which `training.cluster` joins; or, with
`--write kubernetes` or `--write slurm`, writes the file with which that scheduler starts them on
many. It needs neither Keras nor TensorFlow.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_GRACE = 10.0  # seconds between SIGTERM and SIGKILL
_PAUSE = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Starts the workers, passes on what they print, and returns the status of the command.

    If a worker ends with an error, the others are stopped: they could not go on without it.
    """
    options = _parser().parse_args(arguments)
    if options.workers < 1 or options.restarts < 0 or options.servers < 0:
        raise SystemExit("--workers is 1 or more, and --restarts and --servers 0 or more.")
    if options.write:
        return _write(options)
    if not pathlib.Path(options.script).is_file():
        raise SystemExit(f"there is no script {options.script!r}.")
    for attempt in range(options.restarts + 1):
        try:
            status = _run(options)
        except _Stopped as stopped:
            return stopped.status
        if status == 0:
            break
        if attempt < options.restarts:
            print(
                f"[launch] a worker ended with status {status}; all start again "
                f"({attempt + 1} of {options.restarts})",
                flush=True,
            )
    return status


class _Stopped(Exception):
    """Ends the command, whatever may start again: it was interrupted, or its time is over."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m keras_mtl.launch",
        description="Starts a script as several workers on this machine. The script calls "
        "keras_mtl.training.cluster() first.",
    )
    parser.add_argument("--workers", type=int, required=True, help="the number of processes")
    parser.add_argument(
        "--servers",
        type=int,
        default=0,
        help="start a chief, the workers, and this number of servers that hold the variables, for "
        "training.parameter_servers; a worker that fails starts again by itself (default: 0)",
    )
    parser.add_argument(
        "--restarts",
        type=int,
        default=0,
        help="how often all workers start again after one of them has failed; useful with "
        "training.Backup, from which they go on (default: 0)",
    )
    parser.add_argument(
        "--seconds", type=float, help="stop all workers after this time, with status 124"
    )
    parser.add_argument(
        "--write",
        choices=["kubernetes", "slurm"],
        help="start nothing, and write the file with which this scheduler starts the workers",
    )
    for name, text in _OF_FILES.items():
        kind = int if name in ("cpus", "gpus") else str
        parser.add_argument(f"--{name}", type=kind, help=f"with --write: {text}")
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the script")
    return parser


_OF_FILES = {
    "file": "where to write (default: train.yaml or train.slurm, by the name of the job)",
    "name": "the name of the job (default: train)",
    "cpus": "processors of each worker (default: 4)",
    "gpus": "GPUs of each worker (default: 0)",
    "memory": "memory of each worker (default: 16Gi)",
    "image": "Kubernetes: the image with the script",
    "claim": "Kubernetes: the claim that all workers share (default: train-backup)",
    "time": "Slurm: the longest time (default: 1-00:00:00)",
}


def _write(options: argparse.Namespace) -> int:
    """Writes the file of a scheduler."""
    from keras_mtl._launching._job_files import Job, write_job

    if options.write == "kubernetes" and not options.image:
        raise SystemExit("--write kubernetes needs --image, the image with the script.")
    chosen: dict[str, Any] = {
        name: getattr(options, name) for name in _OF_FILES if getattr(options, name) is not None
    }
    file = chosen.pop("file", None)
    try:
        job = Job(
            workers=options.workers,
            script=options.script,
            arguments=tuple(options.arguments),
            restarts=options.restarts,
            **chosen,
        )
    except ValueError as error:
        raise SystemExit(str(error)) from error
    suffix = {"kubernetes": "yaml", "slurm": "slurm"}[options.write]
    print(write_job(options.write, job, file or f"{job.name}.{suffix}"))
    return 0


def _run(options: argparse.Namespace) -> int:
    """Runs all workers once; returns 0, or the status of the first one that failed."""
    configurations = _configurations(options.workers, options.servers)
    command = [sys.executable, options.script, *options.arguments]
    workers: list[subprocess.Popen[str]] = []
    threads = []
    guard = _start_guard()

    def start(name: str) -> "subprocess.Popen[str]":
        worker = _start(command, configurations[name])
        _tell(guard, f"{worker.pid}")
        threads.append(threading.Thread(target=_pass_on, args=(worker, name), daemon=True))
        threads[-1].start()
        return worker

    try:
        with _terminating():
            workers += [start(name) for name in configurations]
            return _wait(workers, [*configurations], options, start)
    except KeyboardInterrupt:
        raise _Stopped(130) from None
    finally:
        _stop(workers)
        _tell(guard, _DONE)
        for thread in threads:  # the last lines, which say why a worker has ended
            thread.join(_GRACE)
        guard.communicate()


def _configurations(workers: int, servers: int) -> dict[str, str]:
    """Returns `TF_CONFIG` of each process, by its name; with servers, the chief's comes first."""
    counts = {"worker": workers} if not servers else {"chief": 1, "worker": workers, "ps": servers}
    ports = iter(_free_ports(sum(counts.values())))
    cluster = {
        job: [f"127.0.0.1:{next(ports)}" for _ in range(count)] for job, count in counts.items()
    }
    return {
        f"{job} {index}": json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})
        for job, addresses in cluster.items()
        for index in range(len(addresses))
    }


def _start(command: list[str], configuration: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        env={**os.environ, "TF_CONFIG": configuration, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that its own processes are stopped with it
    )


def _start_guard() -> "subprocess.Popen[str]":
    """Starts a process that outlives this one, and stops the workers if this one is killed."""
    return subprocess.Popen(
        [sys.executable, "-S", "-c", _GUARD, str(_GRACE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _tell(guard: "subprocess.Popen[str]", line: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        if guard.stdin is not None:
            guard.stdin.write(f"{line}\n")
            guard.stdin.flush()


_DONE = "done"

# Reads the process groups of the workers. Its input ends when this command has ended, however.
_GUARD = f"""
import os, signal, sys, time
lines = sys.stdin.read().split()
if lines[-1:] != [{_DONE!r}]:
    for number, seconds in ((signal.SIGTERM, float(sys.argv[1])), (signal.SIGKILL, 0.0)):
        end = time.monotonic() + seconds
        for group in lines:
            try:
                os.killpg(int(group), number)
            except ProcessLookupError:
                pass
        while lines and time.monotonic() < end:
            time.sleep(0.1)
            for group in list(lines):
                try:
                    os.killpg(int(group), 0)
                except ProcessLookupError:
                    lines.remove(group)
"""


def _pass_on(worker: "subprocess.Popen[str]", name: str) -> None:
    for line in worker.stdout or ():
        print(f"[{name}] {line}", end="" if line.endswith("\n") else "\n", flush=True)


def _wait(
    workers: "list[subprocess.Popen[str]]",
    names: Sequence[str],
    options: argparse.Namespace,
    start: Callable[[str], "subprocess.Popen[str]"],
) -> int:
    """Waits until all have ended, or one has failed; with servers, until the chief has ended."""
    deadline = None if options.seconds is None else time.monotonic() + options.seconds
    while True:
        for index, (worker, name) in enumerate(zip(workers, names, strict=True)):
            status = worker.poll()
            if status:
                text = f"signal {-status}" if status < 0 else f"status {status}"
                print(f"[launch] {name} ended with {text}", flush=True)
                if not (options.servers and name.startswith("worker")):
                    return 128 - status if status < 0 else status
                workers[index] = start(name)  # the chief finds it again
        ends = [worker.poll() == 0 for worker in workers]
        if all(ends) or (options.servers and ends[0]):
            return 0
        if deadline is not None and time.monotonic() > deadline:
            print(f"[launch] stopped after {options.seconds:g} s", flush=True)
            raise _Stopped(124)
        time.sleep(_PAUSE)


@contextlib.contextmanager
def _terminating() -> Iterator[None]:
    """Turns SIGTERM into an interruption, so that workers are stopped."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _stop(workers: "list[subprocess.Popen[str]]") -> None:
    """Stops workers that still run, and what they have started."""
    _signal(workers, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline and any(worker.poll() is None for worker in workers):
        time.sleep(_PAUSE)
    _signal(workers, signal.SIGKILL)
    for worker in workers:
        worker.wait()


def _signal(workers: "list[subprocess.Popen[str]]", number: int) -> None:
    for worker in workers:
        if worker.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, number)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


if __name__ == "__main__":
    sys.exit(main())
