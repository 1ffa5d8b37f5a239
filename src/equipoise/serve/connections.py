"""Connections that do not fill the service: a request's head is short, and comes in good time.

The web server waits for a head for ever and takes any length of it, from callers without a token
too. A few hundred connections that say nothing would keep everybody else out.
"""

import asyncio
from typing import Any

MOST_SECONDS = 10.0
"""How long the head of a request may take to arrive (seconds)."""

MOST_BYTES = 1 << 16
"""Of a head that comes in several parts."""


class _Impatient(asyncio.Protocol):
    """Goes before the web server's protocol and closes a connection whose head does not come."""

    seconds: float
    most: int
    cycle: Any
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _timer: asyncio.TimerHandle | None = None
    _size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Pass on what came, and see whether a head is whole by now."""
        before = self.cycle
        if self._timer is None and (before is None or before.response_complete):
            self._wait()
        super().data_received(data)
        if self.cycle is not before:
            self._came()
        elif self._timer is not None:
            self._size += len(data)
            if self._size > self.most:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._came()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._size = 0
        self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _came(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def impatient(seconds: float = MOST_SECONDS, most: int = MOST_BYTES) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, but with an end to how long and how much it waits for a head.

    Parameters
    ----------
    seconds
        After so long without a whole head the connection is closed.
    most
        So it is after so many bytes.

    Examples
    --------
    See the tests: it needs a connection.

    >>> issubclass(impatient(), asyncio.Protocol)
    True
    """
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    limits = {"seconds": seconds, "most": most}
    return type("Impatient", (_Impatient, AutoHTTPProtocol), limits)
