"""The time that an all-reduce takes over a link."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Link:
    """Holds what connects replicas.

    Args:
        latency: Seconds from one replica to the next.
        bandwidth: Bytes per second of each replica.
        group: How many replicas share a machine; 1 if `inner_latency` and `inner_bandwidth` are
            not used.
        inner_latency, inner_bandwidth: The same numbers inside of a machine.

    Example:
        >>> round(1e3 * Link(30e-6, 3.125e9).seconds(44_000_000, replicas=2), 1)
        14.1
    """

    latency: float
    bandwidth: float
    group: int = 1
    inner_latency: float = 0.0
    inner_bandwidth: float = math.inf

    def __post_init__(self) -> None:
        if not (self.latency >= 0 and self.bandwidth > 0 and self.group >= 1):
            raise ValueError(
                f"latency is {self.latency}, bandwidth {self.bandwidth}, group {self.group}; "
                "expected seconds of 0 or more, bytes per second above 0, and 1 or more."
            )

    def seconds(self, size: float, replicas: int) -> float:
        """Returns the time of one all-reduce, by the best of a ring, a tree and two levels.

        With n bytes, R replicas, latency a and bandwidth B, and R/g machines of g replicas:

            ring  2 (R - 1) a + 2 (R - 1) / R n / B
            tree  2 log2(R) a + 2 n / B
            two levels: a ring in each machine, and rings of R/g replicas for a g-th of the bytes

        Args:
            size: n, the number of bytes.
            replicas: R.
        """
        if replicas == 1:
            return 0.0
        if self.group == 1:
            ring = _ring(size, replicas, self.latency, self.bandwidth)
            tree = 2 * math.log2(replicas) * self.latency + 2 * size / self.bandwidth
            return min(ring, tree)
        inside = min(self.group, replicas)
        inner = _ring(size, inside, self.inner_latency, self.inner_bandwidth)
        machines = math.ceil(replicas / inside)
        return inner + _ring(size / inside, machines, self.latency, self.bandwidth)


def _ring(size: float, replicas: int, latency: float, bandwidth: float) -> float:
    return 2 * (replicas - 1) * latency + 2 * (replicas - 1) / replicas * size / bandwidth


LINKS = {
    "loopback": Link(1e-3, 0.2e9),  # gRPC between processes of one machine, measured
    "10GbE": Link(40e-6, 1.25e9),
    "25GbE": Link(30e-6, 3.125e9),
    "100GbE": Link(8e-6, 12.5e9),
    "NVLink + 400G": Link(5e-6, 50e9, group=8, inner_latency=2e-6, inner_bandwidth=300e9),
}
"""Links by name: what is usual, not what yours is."""
