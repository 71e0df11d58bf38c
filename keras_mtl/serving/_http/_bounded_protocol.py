"""A protocol of uvicorn that refuses long addresses and headers."""

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from keras_mtl.serving._http._answers import to_json
from keras_mtl.serving._metrics import Metrics

_CLOSING = b"content-type: application/json\r\nconnection: close\r\ncontent-length: "


class BoundedProtocol(HttpToolsProtocol):
    """Counts the bytes of the head of a request while it arrives.

    Attributes:
        metrics: Counts refusals.
        limit: The most bytes of an address with its headers.
    """

    metrics: ClassVar[Metrics]
    limit: ClassVar[int]

    _is_refused = False
    _is_head = True
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parses what has arrived, and refuses a head that goes on too long."""
        if self._is_refused:
            return
        self._head_bytes += len(data) if self._is_head else 0
        super().data_received(data)
        if self._is_head and self._head_bytes > self.limit:
            self._refuse()

    def on_headers_complete(self) -> None:
        """Answers a request unless its head is too long."""
        self._is_head, self._head_bytes = False, 0
        size = sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size + len(self.url) > self.limit:
            self._refuse()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body of a request that is answered."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Waits for the head of the next request."""
        self._is_head = True
        if not self._is_refused:
            super().on_message_complete()

    def _refuse(self) -> None:
        if self._is_refused:
            return
        self._is_refused = True
        self.metrics.count_request(431, "headers")
        sentence = f"the address and the headers have more than {self.limit} bytes, the bound of "
        body = to_json({"error": f"{sentence}this server."})
        head = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _CLOSING
        transport: asyncio.Transport = self.transport
        transport.write(head + str(len(body)).encode() + b"\r\n\r\n" + body)
        transport.close()
