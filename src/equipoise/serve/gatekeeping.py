"""Who may ask: with the token, where there is one, and on loopback only by a loopback name."""

import json
from typing import TYPE_CHECKING

from equipoise.serve.keys import is_loopback, matches

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_OPEN = ("/health/live", "/health/ready")
"""What says nothing of anybody, so that a supervisor needs no token."""


class Gatekeeper:
    """Stands before an application and lets through who may ask.

    Parameters
    ----------
    app
        The application.
    token
        Bearer token that each caller must show, or None.
    loopback
        Whether to answer to loopback names only: a web page that lets its own name point here
        could otherwise read the service through a browser.
    """

    def __init__(self, app: "ASGIApp", *, token: str | None, loopback: bool) -> None:
        self._app, self._token, self._loopback = app, token, loopback

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, or turn it away."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if self._loopback and not is_loopback(_host(headers.get(b"host", ""))):
            await _away(send, 403, "host", "this service answers to loopback names only")
        elif not self._may(scope["path"], headers.get(b"authorization", "")):
            await _away(send, 401, "token", "no token, or not the right one")
        else:
            await self._app(scope, receive, send)

    def _may(self, path: str, said: str) -> bool:
        return self._token is None or path in _OPEN or matches(said, self._token)


def _host(header: str) -> str:
    """Return the host of a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


async def _away(send: "Send", status: int, code: str, message: str) -> None:
    body = json.dumps({"error": code, "message": message, "hint": None}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *([(b"www-authenticate", b"Bearer")] if status == 401 else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
