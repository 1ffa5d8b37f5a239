"""What is summed: the one place that knows what the bytes of a round are.

A secure sum slots in here. The first round's message is a vector of whole numbers (`part`), the
second's one of reals (`second`, to be scaled to whole numbers first); `together` and `estimated`
need nothing of a site but its term of the sum, and `check_part` and `check_second`, which need to
see it, become the site's own duty or a proof. See *Where secure sums come in* in
``docs/federation.md``.
"""

from collections.abc import Mapping

import polars as pl

from equipoise import metrics
from equipoise.federate.declaring import Federation
from equipoise.federate.local import Local
from equipoise.metrics import parts

BINS = 256
"""Of the score histograms; an AUROC from them says how far it may be from one without."""


def agreed(study: Federation) -> parts.Agreed:
    """Return what all parts count, as the engine takes it.

    Parameters
    ----------
    study
        What is declared.

    Examples
    --------
    >>> from equipoise.federate.declaring import declared
    >>> study = declared({"name": "a", "sites": ["a", "b", "c"], "attributes": {"sex": ["F"]},
    ...                   "findings": ["x"], "patients_disjoint": True})
    >>> agreed(study).rules.contributors
    3
    """
    plan = metrics.Plan(
        references=dict(study.references),
        metrics=tuple(study.metrics),
        minimum=study.minimum,
        candidate=study.candidate,
        seed=study.seed,
    )
    rules = parts.Rules(
        bins=BINS, minimum_cell=study.minimum_cell, contributors=study.minimum_sites
    )
    return parts.Agreed(
        subgroups_of(study), plan, tuple(study.findings), points=points_of(study), rules=rules
    )


def subgroups_of(study: Federation) -> pl.DataFrame:
    """Return the table *subgroups* of a declaration.

    Parameters
    ----------
    study
        What is declared.
    """
    levels = {name: list(levels) for name, levels in study.attributes.items()}
    return metrics.subgroups(levels, order=study.intersections)


def points_of(study: Federation) -> pl.DataFrame | None:
    """Return the thresholds, for every finding alike, or None.

    Parameters
    ----------
    study
        What is declared.
    """
    if not study.operating_points:
        return None
    return pl.DataFrame(
        [
            {"finding": finding, "operating_point": name, "threshold": float(threshold)}
            for finding in study.findings
            for name, threshold in study.operating_points.items()
        ]
    )


def part(site: Local) -> bytes:
    """Return what a site sends in the first round: counts, small ones withheld.

    Parameters
    ----------
    site
        The site.
    """
    return parts.packed(_part(site))


def _part(site: Local) -> parts.Part:
    return parts.first(_people(site), agreed(site.study), name=site.name)


def _people(site: Local) -> metrics.Population:
    return parts.population_of(site.frame, agreed(site.study), patient=site.study.patient)


def check_part(study: Federation, site: str, said: bytes) -> None:
    """Raise if what a site sent cannot be counts of what is declared.

    Parameters
    ----------
    study
        What is declared.
    site
        Who sent it.
    said
        What came.
    """
    parts.unpacked(said, agreed(study), name=site)


def together(study: Federation, said: Mapping[str, bytes]) -> bytes:
    """Return the sum of the first round.

    Parameters
    ----------
    study
        What is declared.
    said
        Site → what it sent.
    """
    what = agreed(study)
    each = [parts.unpacked(one, what, name=site) for site, one in said.items()]
    return parts.packed(parts.merge(each, what, disjoint_patients=True))


def second(site: Local, merged: bytes) -> bytes:
    """Return what a site sends in the second round: moments about the merged counts.

    Parameters
    ----------
    site
        The site.
    merged
        What `together` gave.
    """
    what = agreed(site.study)
    whole = parts.unpacked_merged(merged, what)
    return parts.packed(parts.moments_of(_people(site), _part(site), whole, what))


def check_second(study: Federation, merged: bytes, site: str, said: bytes) -> None:
    """Raise if what a site sent cannot be moments about the merged counts.

    Parameters
    ----------
    study
        What is declared.
    merged
        What `together` gave.
    site
        Who sent it.
    said
        What came.
    """
    what = agreed(study)
    parts.unpacked_second(said, parts.unpacked_merged(merged, what), what, name=site)


def estimated(study: Federation, merged: bytes, said: Mapping[str, bytes]) -> metrics.Estimated:
    """Return the estimates from the sums of both rounds.

    Parameters
    ----------
    study
        What is declared.
    merged
        What `together` gave.
    said
        Site → what it sent in the second round.
    """
    what = agreed(study)
    whole = parts.unpacked_merged(merged, what)
    each = [parts.unpacked_second(one, whole, what, name=site) for site, one in said.items()]
    return parts.estimates_from(whole, parts.sum_moments(each, whole), what)
