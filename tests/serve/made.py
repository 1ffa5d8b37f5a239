"""A service over a tiny bundle, and images that it takes."""

import datetime as dt
import io
import json
import warnings
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from PIL import Image

from equipoise import phantoms, serve
from equipoise.phantoms.draws import listed
from equipoise.phantoms.files import dataset
from equipoise.phantoms.rendering import render
from equipoise.phantoms.scanners import digitised
from equipoise.tables import RequestLog
from tests.bundles.made import SIZE

KEY = serve.SiteKey(b"7" * 32, "k1")
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DICOM = {"content-type": "application/dicom"}
PNG = {"content-type": "image/png"}


def files(n=6, seed=11):
    """Return the scenes of phantoms and the bytes of their DICOM files, of all three scanners."""
    options = phantoms.Options(patients=n, seed=seed, size=SIZE)
    found = []
    for scene in listed(phantoms.scenes(options)):
        site = options.site(scene.site)
        content = io.BytesIO()
        made = dataset(scene, site, digitised(render(scene, options), site))
        made.save_as(content, enforce_file_format=True)
        found.append((scene, content.getvalue()))
    return found


def png(pixels):
    """Return the bytes of a PNG file."""
    content = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(content, "PNG")
    return content.getvalue()


def changed(bundle, **parts):
    """Return a bundle whose manifest says something else."""
    return replace(bundle, manifest=bundle.manifest.model_copy(update=parts))


class Clock:
    """A clock that a test sets."""

    def __init__(self, now=NOW):
        self.now, self.seconds = now, 100.0

    def time(self):
        return self.now

    def ticks(self):
        return self.seconds


@contextmanager
def client(bundle, folder, *, clock=None, token=None, loopback=True, **options):
    """Give a client of the real application, within this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it prefers another client library to httpx
        from fastapi.testclient import TestClient

    clock = clock or Clock()
    service = serve.Service(
        bundle,
        log=RequestLog(folder, bundle=bundle.digest, salt=KEY.id),
        key=KEY,
        options=serve.Options(**{"window_seconds": 0.0, **options}),
        clock=clock.time,
        ticks=clock.ticks,
    )
    app = serve.application(service, token=token, loopback=loopback)
    with TestClient(app, base_url="http://127.0.0.1") as found:
        found.service = service
        yield found


def lines(folder):
    """Return the rows of a log as they stand on the disk."""
    text = "".join(path.read_text() for path in sorted(folder.glob("requests-*.jsonl")))
    return [row for row in map(json.loads, text.splitlines()) if "log" not in row]
