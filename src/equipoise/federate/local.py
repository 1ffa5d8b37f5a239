"""What one site has: its own data, the study it agreed to, the key it shares with other sites.

All of it is named in the site's own folder, never in a job: a job can neither choose a file nor
ask for more than the declaration that lies at the site.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from equipoise import tables
from equipoise.errors import InvalidConfiguration, InvalidInput, InvalidTable
from equipoise.federate.declaring import Federation, load
from equipoise.metrics import parts
from equipoise.metrics.reading import read_predictions, with_attributes

SITE_FILE = "equipoise.json"
"""In the folder ``local`` of a site: ``{"study": …, "data": …, "linkage_key": …}``."""

_KEYS = {"study", "data", "linkage_key"}
_SHORTEST = 32
"""Bytes of a linkage key; fewer could be guessed."""

_WIDTH = 16
"""Bytes of a pseudonym: among 10 million patients two collide with a chance below 1e-24."""


class NotAsDeclared(InvalidTable):
    """A site's data are not as declared, in words that tell the server nothing of any row.

    Not how many rows either: one would be a cell below any minimum.
    """


@dataclass(frozen=True, slots=True)
class Local:
    """A site's data, read and checked.

    Parameters
    ----------
    name
        The site.
    study
        What this site agreed to.
    frame
        Predictions, wide, with the attributes as text and the patient.
    digests
        File → SHA-256 of what was read.
    key
        Shared by the sites, unknown to the server.
    """

    name: str
    study: Federation
    frame: pl.DataFrame
    digests: Mapping[str, str]
    key: bytes


def local(folder: Path, name: str) -> Local:
    """Return what the site that owns this folder has.

    Parameters
    ----------
    folder
        The site's folder ``local``, with ``equipoise.json`` in it. Its paths start there.
    name
        The site.

    Raises
    ------
    InvalidInput
        If it does not say where the data are, or they are not as declared.

    Examples
    --------
    >>> local(Path("nowhere"), "a")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere/equipoise.json: no such file
    """
    said = tables.read_json(folder / SITE_FILE)
    for name in sorted(_KEYS ^ set(said)):
        what = "unknown key" if name in said else "no key"
        raise InvalidConfiguration(
            f"{SITE_FILE}: {what} '{name}'; expected {', '.join(sorted(_KEYS))}"
        )
    places = {name: folder / str(said[name]) for name in _KEYS}
    study = load(places["study"])
    frame, digests = rows(places["data"], study)
    return Local(name, study, frame, digests, _key(places["linkage_key"]))


def _key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path.name}: the linkage key cannot be read ({error})") from error
    if len(key) < _SHORTEST:
        raise InvalidInput(
            f"{path.name}: the linkage key has {len(key)} bytes; expected {_SHORTEST} or more"
        )
    return key


def rows(data: Path, study: Federation) -> tuple[pl.DataFrame, dict[str, str]]:
    r"""Return a site's predictions with their attributes, and the digests of the files read.

    Parameters
    ----------
    data
        A table of predictions (CSV or Parquet), or a folder with ``cohort.parquet`` and
        ``predictions.parquet``.
    study
        What is declared.

    Raises
    ------
    NotAsDeclared
        If a column is lacking, or a level occurs that is not declared.
    InvalidTable
        If the tables break their contract.

    Examples
    --------
    >>> import tempfile
    >>> from equipoise.federate.declaring import declared
    >>> study = declared({"name": "a", "sites": ["a", "b", "c"], "attributes": {"sex": ["F", "M"]},
    ...                   "findings": ["finding"], "patients_disjoint": True})
    >>> path = Path(tempfile.mkdtemp()) / "a.csv"
    >>> _ = path.write_text("patient_id,sex,label,score\np1,F,1,0.9\n")
    >>> rows(path, study)[0].rows()
    [('p1', 'F', True, 0.9)]
    """
    frame, files = _joined(data) if data.is_dir() else (read_predictions(data), [data])
    wanted = [study.patient, *study.attributes]
    wanted += [f"{kind}:{finding}" for finding in study.findings for kind in ("label", "score")]
    for name in wanted:
        if name not in frame.columns:
            raise NotAsDeclared(f"no column '{name}', which the study declares")
    frame = with_attributes(frame.select(wanted), list(study.attributes))
    frame = frame.with_columns(pl.col(study.patient).cast(pl.String))
    nulls = frame[study.patient].null_count()
    if nulls:
        raise NotAsDeclared(f"column '{study.patient}' has nulls; expected none")
    for name, levels in study.attributes.items():
        stray = (~frame[name].is_in(list(levels))).sum()
        if stray:
            raise NotAsDeclared(
                f"column '{name}': some rows have a level that is not declared; "
                f"declared: {', '.join(levels)}"
            )
    return frame, {path.name: tables.file_digest(path) for path in files}


def _joined(folder: Path) -> tuple[pl.DataFrame, list[Path]]:
    files = [folder / "cohort.parquet", folder / "predictions.parquet"]
    cohort = tables.read(files[0], tables.COHORT)
    scores = tables.read(files[1], tables.PREDICTIONS)
    stray = scores.join(cohort, on="image_id", how="anti")
    if stray.height:
        raise InvalidTable(f"predictions: {stray.height} images are not in the cohort")
    return scores.select("image_id", pl.selectors.starts_with("score:")).join(
        cohort, on="image_id", how="left", maintain_order="left"
    ), files


def pseudonyms(site: Local, job: str) -> dict[str, bytes]:
    """Return pseudonyms of the patients, sorted: of whole ids and perhaps of codes.

    They tell how many patients two sites have in common, to whoever sees both, and not whom: the
    key is the sites' own. Another job has other pseudonyms, so that jobs cannot be linked.

    Parameters
    ----------
    site
        The data and the key.
    job
        The name of this job.

    Examples
    --------
    >>> from equipoise.federate.declaring import declared
    >>> study = declared({"name": "a", "sites": ["a", "b", "c"], "attributes": {"sex": ["F"]},
    ...                   "findings": ["x"], "patients_disjoint": True})
    >>> site = Local("a", study, pl.DataFrame({"patient_id": ["p", "q", "p"]}), {}, b"k" * 32)
    >>> one, other = pseudonyms(site, "1"), pseudonyms(site, "2")
    >>> len(one["ids"]), one["ids"] == other["ids"]
    (32, False)
    """
    salt = hmac.digest(site.key, b"equipoise patients of job " + job.encode(), hashlib.sha256)
    made = parts.keyed(site.frame[site.study.patient].unique().to_list(), salt=salt)
    # Codes that mean somebody else elsewhere say nothing of shared patients: they stay.
    codes = () if site.study.codes_local else made.codes
    return {
        "ids": b"".join(bytes.fromhex(one) for one in made.ids),
        "codes": b"".join(bytes.fromhex(one) for one in codes),
    }


def keyed_of(blobs: Mapping[str, bytes]) -> parts.Keyed:
    """Return the pseudonyms in a message.

    Raises
    ------
    InvalidInput
        If these are none.

    Examples
    --------
    >>> keyed_of({"ids": b"a" * 16, "codes": b"b" * 15})
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: pseudonyms: 15 bytes of codes; expected a multiple of 16
    """
    found = {}
    for name in ("ids", "codes"):
        said = blobs.get(name)
        if said is None:
            raise InvalidInput(f"pseudonyms: no {name} in its answer")
        if len(said) % _WIDTH:
            raise InvalidInput(
                f"pseudonyms: {len(said)} bytes of {name}; expected a multiple of {_WIDTH}"
            )
        each = (said[start : start + _WIDTH] for start in range(0, len(said), _WIDTH))
        found[name] = tuple(one.hex() for one in each)
    return parts.Keyed(found["ids"], found["codes"])
