"""How much a service takes: so many requests a second, so many at once, so many bytes."""

import threading
from dataclasses import dataclass


class TokenBucket:
    """Lets so many requests a second through, and so many at once after a pause.

    Parameters
    ----------
    rate
        Requests per second in the long run.
    burst
        Requests that may come at once.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._level, self._last = float(burst), 0.0

    def take(self, now: float) -> float:
        """Return 0 if a request may pass at `now`, else how long to wait (both in seconds)."""
        self._level = min(self._burst, self._level + max(0.0, now - self._last) * self._rate)
        self._last = max(self._last, now)
        if self._level >= 1.0:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self._rate


@dataclass(slots=True)
class Room:
    """What is held at the moment: requests, and bytes of their bodies.

    Parameters
    ----------
    most_requests, most_bytes
        What may be held.
    """

    most_requests: int
    most_bytes: int
    requests: int = 0
    bytes: int = 0

    def has_request(self) -> bool:
        """Whether one more may come in."""
        return self.requests < self.most_requests

    def has_bytes(self, n: int) -> bool:
        """Whether `n` more bytes may be held."""
        return self.bytes + n <= self.most_bytes


class Tally:
    """A number that several threads change."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._value = 0

    def add(self, n: int) -> None:
        """Change it by `n`."""
        with self._guard:
            self._value += n

    @property
    def value(self) -> int:
        """The number."""
        return self._value
