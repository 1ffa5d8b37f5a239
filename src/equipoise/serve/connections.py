"""Connections that do not fill the service: a head is short and in good time, an answer is read.

The web server waits for a head for ever and takes any length of it, from callers without a token
too, and it waits for ever for a caller that does not read. A few hundred such connections would
keep everybody else out.
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
    _reading: asyncio.TimerHandle | None = None
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

    def pause_writing(self) -> None:
        """Begin to wait for a caller that does not read its answers."""
        super().pause_writing()
        self._reading = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Wait no longer: it reads."""
        self._read()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._came()
        self._read()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._size = 0
        self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _came(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _read(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None


def impatient(seconds: float = MOST_SECONDS, most: int = MOST_BYTES) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, but with an end to how long and how much it waits for a head.

    Parameters
    ----------
    seconds
        After so long without a whole head, or with answers that nobody reads, the connection is
        closed.
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
