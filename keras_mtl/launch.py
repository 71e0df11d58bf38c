"""The command `python -m keras_mtl.launch --workers N SCRIPT ARGUMENTS`.

It starts N processes of a script on this machine, which `training.cluster` joins. It uses the
standard library alone.
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
from collections.abc import Iterator, Sequence
from typing import Any

_GRACE = 10.0  # seconds between SIGTERM and SIGKILL
_PAUSE = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Starts the workers, passes on what they print, and returns the status of the command.

    If a worker ends with an error, the others are stopped: they could not go on without it.
    """
    options = _parser().parse_args(arguments)
    if options.workers < 1 or options.restarts < 0:
        raise SystemExit("--workers is 1 or more, and --restarts 0 or more.")
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
        "--restarts",
        type=int,
        default=0,
        help="how often all workers start again after one of them has failed; useful with "
        "training.Backup, from which they go on (default: 0)",
    )
    parser.add_argument(
        "--seconds", type=float, help="stop all workers after this time, with status 124"
    )
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the script")
    return parser


def _run(options: argparse.Namespace) -> int:
    """Runs all workers once; returns 0, or the status of the first one that failed."""
    ports = _free_ports(options.workers)
    command = [sys.executable, options.script, *options.arguments]
    workers: list[subprocess.Popen[str]] = []
    threads = []
    try:
        with _terminating():
            for index in range(options.workers):
                workers.append(_start(command, ports, index))
                thread = threading.Thread(target=_pass_on, args=(workers[-1], index), daemon=True)
                thread.start()
                threads.append(thread)
            return _wait(workers, options.seconds)
    except KeyboardInterrupt:
        raise _Stopped(130) from None
    finally:
        _stop(workers)
        for thread in threads:  # the last lines, which say why a worker has ended
            thread.join(_GRACE)


def _start(command: list[str], ports: list[int], index: int) -> "subprocess.Popen[str]":
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    task = {"type": "worker", "index": index}
    return subprocess.Popen(
        command,
        env={
            **os.environ,
            "TF_CONFIG": json.dumps({"cluster": cluster, "task": task}),
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that its own processes are stopped with it
    )


def _pass_on(worker: "subprocess.Popen[str]", index: int) -> None:
    for line in worker.stdout or ():
        print(f"[worker {index}] {line}", end="" if line.endswith("\n") else "\n", flush=True)


def _wait(workers: "list[subprocess.Popen[str]]", seconds: float | None) -> int:
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        statuses = [worker.poll() for worker in workers]
        for index, status in enumerate(statuses):
            if status:
                text = f"signal {-status}" if status < 0 else f"status {status}"
                print(f"[launch] worker {index} ended with {text}", flush=True)
                return 128 - status if status < 0 else status
        if all(status == 0 for status in statuses):
            return 0
        if deadline is not None and time.monotonic() > deadline:
            print(f"[launch] stopped after {seconds:g} s", flush=True)
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
