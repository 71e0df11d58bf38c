"""SIGTERM, which asks a process to leave."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

STATUS = 143  # 128 + SIGTERM, as of a process that SIGTERM has ended


class Termination:
    """Knows whether SIGTERM has come since `watched` began.

    Attributes:
        asked: Whether it has.
    """

    def __init__(self) -> None:
        self.asked = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Receives SIGTERM inside of the context; only the main thread can."""
        self.asked = False
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.signal(signal.SIGTERM, self._ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, previous)
