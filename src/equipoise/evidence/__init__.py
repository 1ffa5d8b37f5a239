"""Evidence: what a stage was given, what it was told, what came of it, bound by digests.

Each stage leaves an in-toto Statement (https://in-toto.io/Statement/v1) in canonical JSON: the
subjects are its files by SHA-256. It is not signed yet. It finds what was changed by accident;
against forgery a signature will stand around the very same bytes.
"""

from equipoise.evidence.chain import Finding, verify
from equipoise.evidence.openings import OPENINGS_FILE, note_opening, opened, openings
from equipoise.evidence.statements import (
    EVIDENCE_FILE,
    PREDICATE_TYPE,
    SPENT_FILE,
    STATEMENT_TYPE,
    canonical,
    digest,
    folder_digest,
    read_statement,
    statement,
    subjects,
    write_statement,
)

__all__ = [
    "EVIDENCE_FILE",
    "OPENINGS_FILE",
    "PREDICATE_TYPE",
    "SPENT_FILE",
    "STATEMENT_TYPE",
    "Finding",
    "canonical",
    "digest",
    "folder_digest",
    "note_opening",
    "opened",
    "openings",
    "read_statement",
    "statement",
    "subjects",
    "verify",
    "write_statement",
]
