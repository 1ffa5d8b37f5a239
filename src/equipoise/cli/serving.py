"""The command ``equipoise serve``: a bundle over HTTP."""

import datetime as dt
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from equipoise.errors import InvalidConfiguration


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
    from pydantic import ValidationError

    from equipoise import bundles, serve
    from equipoise.cli.showing import talk
    from equipoise.scope import Scope
    from equipoise.tables import RequestLog

    try:
        options = serve.Options(
            host=host,
            port=port,
            maximum_bytes=maximum_bytes,
            rate=rate,
            burst=max(1, round(rate)),
            queue=queue,
            threads=threads,
        )
    except ValidationError as error:
        first = error.errors()[0]
        flag = str(first["loc"][0]).replace("_", "-")
        raise InvalidConfiguration(f"--{flag} {first['input']}: {first['msg']}") from error
    serve.check_installed()
    serve.needs_token(host, token_file)
    token = None if token_file is None else serve.token(token_file)
    cache = Path(tempfile.gettempdir()) / "equipoise" if bundle.is_file() else None
    opened = bundles.opened(bundle, Scope(cache=cache))
    bundles.check_usable(opened, on=_now().date())
    beside = log.resolve().with_name(f"{log.resolve().name}.key")
    key = serve.site_key(key_file or beside, log=log, entropy=secrets.token_bytes)
    written = RequestLog(log, bundle=opened.digest, salt=key.id)
    console = talk()
    console.print(f"bundle {opened.name} ({opened.digest[:12]}), log {log}", markup=False)
    if written.torn:
        console.print(f"{written.torn} torn lines of an earlier run were moved aside")
    if opened.override is not None:
        said = f"override by {opened.override.name} until {opened.override.expires}"
        console.print(f"verdict {opened.manifest.verdict}: {said}", markup=False)
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
    console.print("stopped; every answer is in the log")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _listening(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
