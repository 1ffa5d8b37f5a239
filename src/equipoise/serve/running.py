"""A service on a port, until it is told to stop; then what was begun is answered and logged."""

import contextlib
import datetime as dt
import errno
import logging
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from equipoise.bundles import Bundle, check_usable
from equipoise.errors import InvalidInput, MissingExtra
from equipoise.serve.connections import impatient
from equipoise.serve.keys import SiteKey, is_loopback
from equipoise.serve.options import Options
from equipoise.serve.service import Service
from equipoise.tables import RequestLog

if TYPE_CHECKING:
    import uvicorn

_LIBRARIES = ("fastapi", "prometheus_client", "uvicorn")
_CONNECTIONS = 512


def check_installed() -> None:
    """Refuse to go on without the extra.

    Raises
    ------
    MissingExtra
        If a library is not installed.

    Examples
    --------
    >>> check_installed()
    """
    import importlib.util

    lacking = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if lacking:
        raise MissingExtra(
            f"serve needs {', '.join(lacking)}", hint="pip install 'equipoise[serve]'"
        )


def serve(
    bundle: Bundle,
    *,
    log: RequestLog,
    key: SiteKey,
    token: str | None,
    options: Options,
    clock: Callable[[], dt.datetime],
    ticks: Callable[[], float],
    listening: Callable[[str], None],
) -> None:
    """Answer requests until SIGTERM or SIGINT; then finish what was begun.

    Parameters
    ----------
    bundle
        What is served.
    log
        Each answer is written there first; closed at the end.
    key
        Makes pseudonyms.
    token
        Bearer token, or None.
    options
        Where to listen, and what is taken.
    clock, ticks
        The time (UTC), and seconds that never go back.
    listening
        Told the address once requests are taken.

    Raises
    ------
    MissingExtra
        If the extra is not installed.
    Refused
        If the bundle neither passed nor has an override in force.
    InvalidInput
        If the port is in use.

    Examples
    --------
    See the tests: it runs until it is stopped.
    """
    check_installed()
    check_usable(bundle, on=clock().date())
    import uvicorn
    from threadpoolctl import threadpool_limits

    from equipoise.serve.application import application

    door = _door(options.host, options.port)
    service = Service(bundle, log=log, key=key, options=options, clock=clock, ticks=ticks)
    app = application(service, token=token, loopback=is_loopback(options.host))
    config = uvicorn.Config(
        app,
        http=impatient(),
        access_log=False,
        log_config=_talk(),
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=_CONNECTIONS,
    )
    server = uvicorn.Server(config)
    host, port = door.getsockname()[:2]
    # Each encoder call has a core of its own; numpy must not start threads beside it.
    with door, _stopping(server), threadpool_limits(1):
        listening(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        server.run(sockets=[door])


def _door(host: str, port: int) -> socket.socket:
    """Return a socket that listens, or say plainly why it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on and each answer waits 40 ms for an ACK.
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((host, port))
        door.listen(2048)
    except OSError as error:
        door.close()
        taken = error.errno == errno.EADDRINUSE
        raise InvalidInput(
            f"port {port} of {host} {'is in use' if taken else f'cannot be taken ({error})'}",
            hint="stop what uses it, or give another --port" if taken else "give another --host",
        ) from error
    return door


@contextlib.contextmanager
def _stopping(server: "uvicorn.Server") -> Iterator[None]:
    """Have a signal end the service, also before and after uvicorn listens to signals itself."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        server.should_exit = True

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class _Plain(logging.Formatter):
    """Says what went wrong and where, never with which values: they may be a patient's."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and one more for an error."""
        first = (record.getMessage().strip().splitlines() or [""])[0]
        kind, _, trace = record.exc_info or (None, None, None)
        where = "" if kind is None else f"\n  {_where(kind, trace)}"
        return f"{record.levelname.lower()}: {first}{where}"


def _where(kind: type[BaseException], trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    last = frames[-1] if frames else None
    return f"{kind.__name__} in {last.name}, line {last.lineno}" if last else kind.__name__


def _talk() -> dict[str, Any]:
    """Return how the process talks to stderr: warnings only, and nothing of a header."""
    silent = {"handlers": [], "level": "CRITICAL", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"()": _Plain}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"pydicom": silent, "PIL": silent},
    }
