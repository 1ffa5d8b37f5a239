"""One audit over hospitals that share no rows: each counts at home, the server adds.

The job is one of NVIDIA FLARE's (extra ``federate``), which is loaded only where it runs. What a
site reads, and for which study, stands in the site's own folder; a job is configuration alone.
"""

from equipoise.federate.declaring import (
    FEWEST,
    SCHEMA,
    VERSION,
    Federation,
    declared,
    digest,
    load,
    text,
)
from equipoise.federate.jobs import write_job

__all__ = [
    "FEWEST",
    "SCHEMA",
    "VERSION",
    "Federation",
    "declared",
    "digest",
    "load",
    "text",
    "write_job",
]
