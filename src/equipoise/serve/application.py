"""The service as a FastAPI application: five paths, and what stands before them."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from equipoise.errors import EquipoiseError, InvalidInput
from equipoise.serve.answers import Health, Problem, Refused, Scored, Served, served
from equipoise.serve.asking import CASE_HEADER, FORMS, PATIENT_HEADER, WORDS, asked, numbers
from equipoise.serve.declining import Declined, declined
from equipoise.serve.gatekeeping import Gatekeeper
from equipoise.serve.limits import Room, TokenBucket
from equipoise.serve.service import Service

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_GONE = 499
"""The caller went away before the image was whole."""

_PROBLEMS = {
    401: "No token, or not the right one.",
    408: "The image did not arrive in time.",
    413: "The image is too large.",
    415: "No such content type.",
    422: "An attribute, a level or a name that is not declared.",
    429: "Too many requests; see Retry-After.",
    500: "The model gave no number.",
    503: "The queue is full, the log cannot be written, or the override has expired.",
}


def application(service: Service, *, token: str | None, loopback: bool) -> "FastAPI":
    """Return the application of a service.

    Parameters
    ----------
    service
        What answers.
    token
        Bearer token that each caller must show, or None.
    loopback
        Whether only this machine can reach it; then no other host name is answered to.

    Examples
    --------
    See the tests: it needs a bundle.
    """
    from fastapi import FastAPI, Request, Response

    from equipoise import __version__

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        yield
        await asyncio.to_thread(service.close)

    # No page for people: the ready-made ones load scripts from elsewhere; hospitals are offline.
    app = FastAPI(
        title="Equipoise", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    desk = _Desk(service)

    @app.post(
        "/v1/score",
        response_model=Annotated[Scored | Refused, Field(discriminator="outcome")],
        responses={status: {"model": Problem, "description": d} for status, d in _PROBLEMS.items()},
        openapi_extra=_asks(service),
        summary="Score one image, or say why it is refused.",
    )
    async def score(request: Request) -> Response:
        return await desk.score(request)

    @app.get("/v1/bundle", response_model=Served, summary="What is served.")
    async def bundle() -> Served:
        return served(service.bundle, service.attributes)

    @app.get("/health/live", response_model=Health, summary="Whether the service lives.")
    async def live() -> Health:
        return Health(status="ok")

    @app.get("/health/ready", response_model=Health, summary="Whether it can take requests.")
    async def ready(response: Response) -> Health:
        why = service.not_ready()
        response.status_code = 200 if why is None else 503
        return Health(status="ok" if why is None else "unavailable", reason=why)

    @app.get("/metrics", response_class=Response, summary="Counts and times, for Prometheus.")
    async def metrics() -> Response:
        return Response(service.meters.text(), media_type=_METRICS)

    app.add_middleware(Gatekeeper, token=token, loopback=loopback)
    return app


class _Desk:
    """Takes requests for scores in, as far as there is room."""

    def __init__(self, service: Service) -> None:
        options = service.options
        self._service, self._options = service, options
        self._bucket = TokenBucket(options.rate, options.burst)
        # Bodies of all that wait, together, may not fill the memory.
        self._room = Room(options.queue, 4 * options.maximum_bytes)

    async def score(self, request: "Request") -> "Response":
        """Return the answer, or why the request is not taken."""
        from fastapi import Response
        from starlette.requests import ClientDisconnect

        began = self._service.ticks()
        headers: dict[str, str] = {"cache-control": "no-store"}
        status = 500
        try:
            content = await self._taken(request, began)
            status = 200
        except ClientDisconnect:
            content, status = b"", _GONE
        except EquipoiseError as error:
            problem = declined(error)
            content, status = _problem(problem), problem.status
            headers["connection"] = "close"  # or what is left of the image would still be read
            if problem.wait is not None:
                headers["retry-after"] = str(max(1, math.ceil(problem.wait)))
        finally:
            self._service.meters.finished(status, self._service.ticks() - began)
        return Response(content, status, headers, "application/json")

    async def _taken(self, request: "Request", now: float) -> bytes:
        wait = self._bucket.take(now)
        if wait:
            raise Declined(429, "rate", "too many requests", wait=wait)
        if not self._room.has_request():
            raise Declined(503, "queue", "too many requests wait already", wait=1.0)
        self._room.requests += 1
        held: list[int] = []
        try:
            said = self._said(request)
            content = await self._body(request, held.append)
            return await self._service.answered(content, said)
        finally:
            self._room.requests -= 1
            self._room.bytes -= sum(held)

    def _said(self, request: "Request") -> Any:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in FORMS:
            raise Declined(
                415,
                "content_type",
                f"content type must be one of {', '.join(FORMS)}",
                hint="the body is the file itself, no form; its header says what it is, as "
                "Content-Type: image/png",
            )
        query = request.query_params.multi_items()
        try:
            return asked(query, request.headers, FORMS[kind], self._service.bundle.audit)
        except InvalidInput as error:
            raise Declined(422, "undeclared", str(error), hint=error.hint) from error

    async def _body(self, request: "Request", hold: Callable[[int], None]) -> bytes:
        most = self._options.maximum_bytes
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > most:
            raise _too_large(most)
        parts: list[bytes] = []
        n = 0
        try:
            async with asyncio.timeout(self._options.patience_seconds):
                async for chunk in request.stream():
                    n += len(chunk)
                    if n > most:
                        raise _too_large(most)
                    if not self._room.has_bytes(len(chunk)):
                        raise Declined(503, "queue", "too many images wait already", wait=1.0)
                    self._room.bytes += len(chunk)
                    hold(len(chunk))
                    parts.append(chunk)
        except TimeoutError as error:
            raise Declined(408, "patience", "the image did not arrive in time") from error
        return b"".join(parts)


def _too_large(most: int) -> Declined:
    return Declined(413, "too_large", f"the image has more than {most} bytes")


def _problem(error: Declined) -> bytes:
    said = Problem(error=error.code, message=str(error), hint=error.hint)
    return json.dumps(said.model_dump(mode="json")).encode()


def _asks(service: Service) -> dict[str, Any]:
    """Return what the OpenAPI document says of a request: content types, ids, attributes."""
    texts = {"type": "string"}
    parameters: list[dict[str, Any]] = [
        _parameter(CASE_HEADER, "header", texts, "Id of the image; only its pseudonym is kept."),
        _parameter(PATIENT_HEADER, "header", texts, "Id of the patient; only its pseudonym."),
    ]
    for name, levels in service.attributes.items():
        schema = {"type": "string", "enum": levels}
        parameters.append(_parameter(name, "query", schema, "Declared attribute."))
    for name in numbers(service.bundle.audit):
        said = "Number from which an attribute is cut."
        parameters.append(_parameter(name, "query", {"type": "number"}, said))
    for name in WORDS:
        if name not in service.attributes:
            said = "For PNG and JPEG, or where a DICOM header is silent."
            parameters.append(_parameter(name, "query", texts, said))
    image = {"schema": {"type": "string", "format": "binary"}}
    body = {"required": True, "content": dict.fromkeys(FORMS, image)}
    return {"parameters": parameters, "requestBody": body}


def _parameter(name: str, place: str, schema: dict[str, Any], said: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": False, "schema": schema, "description": said}
