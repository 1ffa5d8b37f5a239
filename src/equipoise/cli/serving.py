"""The command ``equipoise serve``: a bundle over HTTP."""

import datetime as dt
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from equipoise.bundles import Bundle
    from equipoise.serve import Options


def serve(
    bundle: Annotated[Path, typer.Argument(help="The bundle, a folder or a zip.")],
    log: Annotated[Path, typer.Option(help="Folder for the log of requests.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but loopback needs --token-file.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes any that is free.")] = 8080,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the bearer token, 32 characters or more, mode 0600."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the site key behind the pseudonyms, outside the log folder; made if "
            "it is absent. By default <log>.key beside the log folder."
        ),
    ] = None,
    maximum_bytes: Annotated[
        int, typer.Option(help="Largest image file that is taken (bytes).")
    ] = 64 << 20,
    rate: Annotated[float, typer.Option(help="Requests taken per second.")] = 200.0,
    queue: Annotated[int, typer.Option(help="Requests that may wait.")] = 64,
    threads: Annotated[int, typer.Option(help="Encoder calls at once, a core each.")] = 1,
) -> None:
    """Serve a bundle over HTTP: DICOM or PNG in; score, decision or refusal out.

    Runs until it is told to stop; then it answers what it took, and the log is whole. The address
    is printed once requests are taken.
    """
    from equipoise import serve
    from equipoise.cli.showing import talk
    from equipoise.tables import RequestLog

    options = _options(
        host=host,
        port=port,
        maximum_bytes=maximum_bytes,
        rate=rate,
        burst=max(1, round(rate)),
        queue=queue,
        threads=threads,
    )
    serve.check_installed()
    serve.needs_token(host, token_file)
    token = None if token_file is None else serve.token(token_file)
    opened = _opened(bundle, _beside(log, "cache"))
    path = key_file or _beside(log, "key")
    key = serve.site_key(path, log=log, entropy=secrets.token_bytes)
    written = RequestLog(log, bundle=opened.digest, salt=key.id)
    _told(opened, log, written.torn)
    try:
        serve.serve(
            opened,
            log=written,
            key=key,
            token=token,
            options=options,
            clock=_now,
            ticks=time.monotonic,
            listening=_listening,
        )
    finally:
        written.close()
    talk().print("stopped; every answer is in the log")


def _options(**said: object) -> "Options":
    from equipoise.cli.saying import validated
    from equipoise.serve import Options

    return validated(Options, said)


def _beside(log: Path, ending: str) -> Path:
    """Return a place beside the log folder: what stands within it may travel."""
    return log.resolve().with_name(f"{log.resolve().name}.{ending}")


def _opened(path: Path, cache: Path) -> "Bundle":
    from equipoise import bundles
    from equipoise.scope import Scope

    # One thread an encoder call: the service makes as many calls at once as it is told.
    found = bundles.opened(path, Scope(cache=cache))
    bundles.check_usable(found, on=_now().date())
    return found


def _told(bundle: "Bundle", log: Path, torn: int) -> None:
    from equipoise.cli.showing import talk

    console = talk()
    console.print(f"bundle {bundle.name} ({bundle.digest[:12]}), log {log}", markup=False)
    if torn:
        console.print(f"{torn} torn lines of an earlier run were moved aside")
    if bundle.override is not None:
        said = f"override by {bundle.override.name} until {bundle.override.expires}"
        console.print(f"verdict {bundle.manifest.verdict}: {said}", markup=False)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _listening(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
