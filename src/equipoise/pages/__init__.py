"""Pages: what every HTML page shares, so that a new one is a template and its words.

One offline file each: the style stands in the page, nothing is loaded, there are no scripts, and
every string from data is escaped by the environment that `environment` gives.
"""

from equipoise.pages.cells import (
    cell_text,
    columns_of,
    group_name,
    is_digest,
    spaced,
    thousands,
    without_parts,
)
from equipoise.pages.shell import environment

__all__ = [
    "cell_text",
    "columns_of",
    "environment",
    "group_name",
    "is_digest",
    "spaced",
    "thousands",
    "without_parts",
]
