"""The name of a process, which no later process has."""

import os
import pathlib


def identify(pid: int | None = None) -> str:
    """Returns the number of a process and, where the system tells it, the time of its start.

    Numbers of processes are used again. The number alone would take another program for one that
    has ended.

    Args:
        pid: The number of the process; this process by default.
    """
    pid = os.getpid() if pid is None else pid
    try:
        # The name of the program, in brackets, may contain spaces; the start is field 22.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return f"{pid} {fields[19]}" if fields[0] not in ("Z", "X") else f"{pid} ended"
    except OSError:
        return str(pid)


def is_alive(identity: str) -> bool:
    """Returns whether a process that `identify` named is still there."""
    pid = int(identity.split()[0])
    if os.name == "nt":
        return False  # There, signal 0 would end the process.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return identify(pid) == identity
