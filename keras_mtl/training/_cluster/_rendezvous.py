"""How the workers of a cluster find out that all of them are there, and that they agree.

TensorFlow waits for a worker that never comes without a word, and trains with one that runs other
code. So each worker listens at its own address, before TensorFlow does, and asks every other one
what it runs. It leaves when it has been asked by all.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from keras_mtl.training._cluster._description import Description

_PAUSE = 0.2  # seconds between two tries to reach a worker
_MOST_BYTES = 65_536


def meet(description: Description, facts: Mapping[str, str], timeout: float) -> None:
    """Waits until every worker was there, and compares the facts of each with those of this one.

    Args:
        description: The cluster.
        facts: What has to be the same on all workers, by name.
        timeout: The number of seconds to wait.

    Raises:
        OSError: If another program listens at the address of this worker.
        TimeoutError: If a worker does not appear in time.
        ValueError: If workers differ.
    """
    deadline = time.monotonic() + timeout
    here = {**facts, "workers": ", ".join(description.workers)}
    peers = {*range(len(description.workers))} - {description.index}
    with _Listener(description, here) as listener:
        answers = {index: _ask(description, index, deadline) for index in sorted(peers)}
        # Whatever comes out below comes out for all of them, so that none waits for one that left.
        missing = listener.wait_for(peers, deadline)
    for index, answer in answers.items():
        _compare(here, answer, description, index)
    if missing:
        raise TimeoutError(
            f"the workers {[description.workers[index] for index in sorted(missing)]} have not "
            f"reached worker {description.index} at {description.address}, though it has reached "
            "them. See that every worker can reach every other one."
        )


class _Listener:
    """Answers whoever asks with what this worker runs, and knows who has asked."""

    def __init__(self, description: Description, here: Mapping[str, str]) -> None:
        self._answer = json.dumps(here).encode() + b"\n"
        self._asked: set[int] = set()
        self._changed = threading.Condition()
        port = int(description.address.rpartition(":")[2])
        try:
            self._server = socket.create_server(("", port), backlog=128)
        except OSError as error:
            raise OSError(
                f"worker {description.index} cannot listen at {description.address} ({error}): "
                "another program has this port. Free it, or choose another one for this worker on "
                "all of them."
            ) from error
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "_Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # nothing is connected
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def wait_for(self, peers: set[int], deadline: float) -> set[int]:
        """Waits until the peers have asked; returns those that have not."""
        with self._changed:
            self._changed.wait_for(
                lambda: peers <= self._asked, max(0.0, deadline - time.monotonic())
            )
            return peers - self._asked

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:  # closed
                return
            with connection:
                try:
                    connection.settimeout(5)
                    question = _read_line(connection)
                    connection.sendall(self._answer)
                    index = int(json.loads(question)["index"])
                except (OSError, ValueError, KeyError, TypeError):
                    continue  # no worker: a check of health, or another program
            with self._changed:
                self._asked.add(index)
                self._changed.notify_all()


def _ask(description: Description, index: int, deadline: float) -> Any:
    """Returns what another worker runs.

    Raises:
        TimeoutError: If it does not appear in time.
        ValueError: If another program listens there.
    """
    address = description.workers[index]
    host, _, port = address.rpartition(":")
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                question = json.dumps({"index": description.index}).encode()
                connection.sendall(question + b"\n")
                answer = _read_line(connection)
        except OSError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"the worker at {address} has not appeared ({error}). Start all workers of "
                    "the cluster, with the same list of addresses, and see that this one can be "
                    "reached from here."
                ) from error
            time.sleep(_PAUSE)
            continue
        try:
            return json.loads(answer)
        except ValueError as error:
            raise ValueError(
                f"at {address}, the address of worker {index}, another program answers. Choose "
                "another port for this worker on all of them."
            ) from error


def _read_line(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n") and len(received) < _MOST_BYTES:
        part = connection.recv(4096)
        if not part:
            break
        received += part
    return received


def _compare(
    here: Mapping[str, str], answer: Mapping[str, str], description: Description, index: int
) -> None:
    different = [name for name in {**here, **answer} if here.get(name) != answer.get(name)]
    if different:
        listed = "; ".join(
            f"{name}: {here.get(name)!r} here, {answer.get(name)!r} there" for name in different
        )
        raise ValueError(
            f"worker {description.index} ({description.address}) and worker {index} "
            f"({description.workers[index]}) differ. {listed}. All workers of a cluster run the "
            "same script with the same arguments and packages, and the same list of addresses."
        )
