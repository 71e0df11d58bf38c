"""The bound of addresses and headers, which uvicorn leaves open."""

from typing import Any

from keras_mtl.serving._metrics import Metrics


def bound_headers(metrics: Metrics, limit: int) -> Any:
    """Returns a protocol of uvicorn that refuses long addresses and headers with status 431.

    Its parser keeps what has arrived of a header until it is complete, however long it is. Without
    httptools uvicorn parses by h11, which has a bound of 64 kB of its own.

    Args:
        metrics: Counts refusals.
        limit: The most bytes of an address with its headers. What arrives in one piece beyond it is
            looked at, and refused, too.
    """
    try:
        from keras_mtl.serving._http._bounded_protocol import BoundedProtocol
    except ImportError:
        return "auto"
    return type("BoundedProtocol", (BoundedProtocol,), {"metrics": metrics, "limit": limit})
