"""All pictures of an audit, by the name of the file they go into."""

import hashlib
import re

import polars as pl

from equipoise.figures.calibrations import reliability
from equipoise.figures.decisions import decision
from equipoise.figures.forests import forest
from equipoise.figures.rocs import roc
from equipoise.words import Texts

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def audit_figures(estimates: pl.DataFrame, counts: pl.DataFrame, *, texts: Texts) -> dict[str, str]:
    """Return the pictures of an audit: forests, ROC, reliability and decision curves.

    Parameters
    ----------
    estimates
        The table *estimates*; all findings, candidates and operating points.
    counts
        The table *counts* of the same audit.
    texts
        The words of the pictures.

    Returns
    -------
    A name that can be a file's, without its ending → an SVG. A forest per metric and operating
    point; the curves per finding and candidate.

    Examples
    --------
    >>> from equipoise import metrics, words
    >>> table = metrics.subgroups({"sex": ["F"]})
    >>> rows = pl.DataFrame({"sex": ["F", "F"], "label:x": [True, False], "score:x": [0.9, 0.1]})
    >>> people = metrics.population(rows, table, patient=None)
    >>> counts = metrics.count(people, table, candidate="probe")
    >>> columns = ["metric", "finding", "candidate", "operating_point", "contrast", "adjustment"]
    >>> estimates = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    >>> sorted(audit_figures(estimates, counts, texts=words.load()))
    ['decision-x-probe', 'reliability-x-probe', 'roc-x-probe']
    """
    made: dict[str, str] = {}
    own = estimates.filter(pl.col("contrast").is_null())
    key = ["metric", "finding", "candidate", "operating_point"]
    for names, part in own.group_by(key, maintain_order=True):
        metric, *subject = (None if name is None else str(name) for name in names)
        name = _name(made, "forest", metric, *subject)
        made[name] = forest(part, metric=str(metric), texts=texts, identity=name)
    for names, part in counts.group_by(["finding", "candidate"], maintain_order=True):
        subject = [str(name) for name in names]
        for kind, draw in (("roc", roc), ("reliability", reliability), ("decision", decision)):
            name = _name(made, kind, *subject)
            made[name] = draw(part, texts=texts, estimates=estimates, identity=name)
    return made


def _name(made: dict[str, str], *parts: str | None) -> str:
    """Return a name no other picture has, of letters that every file system takes."""
    said = [part for part in parts if part is not None]
    plain = "-".join(_UNFIT.sub("_", part).strip("._-") for part in said)
    altered = plain != "-".join(said) or len(plain) > 100 or plain.lower() in map(str.lower, made)
    if not altered:
        return plain
    digest = hashlib.sha256("\x00".join(said).encode("utf-8", "replace")).hexdigest()[:8]
    return f"{plain[:90]}-{digest}"
