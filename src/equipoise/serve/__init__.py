"""Serve: a bundle answers over HTTP; a refused image gets no score, and no answer goes unlogged.

It is no study stage: it has no end. What it leaves is the log of requests, which `monitor` reads.
"""

from equipoise.serve.application import application
from equipoise.serve.keys import SiteKey, needs_token, pseudonym, site_key, token
from equipoise.serve.options import Options
from equipoise.serve.running import check_installed, serve
from equipoise.serve.service import Service

VERSION = 1

__all__ = [
    "VERSION",
    "Options",
    "Service",
    "SiteKey",
    "application",
    "check_installed",
    "needs_token",
    "pseudonym",
    "serve",
    "site_key",
    "token",
]
