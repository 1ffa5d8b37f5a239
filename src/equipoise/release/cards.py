"""The model card: Markdown for people, every text from data escaped."""

import re
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from equipoise import bundles
from equipoise.encoders.licensing import terms_of
from equipoise.encoders.provenance import POINTS
from equipoise.metrics import named
from equipoise.policies import Policy
from equipoise.tables import ESTIMATES

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~&-])")
_MOST = 200
NONE = "not available"


def escaped(text: object) -> str:
    r"""Return text that Markdown shows as it is, in one line: no link, no table cell, no HTML.

    Examples
    --------
    >>> escaped("<b>x</b> | [a](b)")
    '\\<b\\>x\\</b\\> \\| \\[a\\]\\(b\\)'
    """
    shown = "".join(one if one.isprintable() else " " for one in str(text))
    return _SPECIAL.sub(r"\\\1", " ".join(shown.split()))


def model_card(
    manifest: bundles.Manifest,
    policy: Policy,
    *,
    verdict: Mapping[str, object],
    points: pl.DataFrame,
    encoder: Mapping[str, object],
    reference: bundles.Reference | None,
) -> str:
    """Return the model card of a bundle.

    Parameters
    ----------
    manifest
        What ``bundle.json`` says.
    policy
        By which it was judged.
    verdict
        As in ``verdict.json``.
    points
        Its operating points.
    encoder
        What the encoder's card says.
    reference
        What it was made from and how it fared, if that is known.

    References
    ----------
    Mitchell et al. 2019, FAT* (model cards for model reporting).

    Examples
    --------
    See the tests of the stage.

    >>> model_card.__name__
    'model_card'
    """
    parts = [
        [f"# Model card: {escaped(manifest.name)}"],
        _verdict(manifest, verdict, policy),
        ["## Intended use", "", escaped(manifest.intended_use), "", *_answers(manifest)],
        ["## Input", "", *_contract(manifest.contract)],
        ["## Training data", "", *_training(reference, manifest)],
        ["## Performance by group", "", *_performance(reference)],
        ["## Operating points", "", *_points(points)],
        ["## Encoder and licence", "", *_listed(encoder)],
        ["## Limits, and what is not known", "", *_unknown(manifest, reference)],
    ]
    return "\n".join("\n".join([*part, ""]) for part in parts)


def _verdict(
    manifest: bundles.Manifest, verdict: Mapping[str, object], policy: Policy
) -> list[str]:
    lines = [
        "## Verdict",
        "",
        f"**{escaped(manifest.verdict)}** by the policy {escaped(policy.name)}: "
        f"{escaped(verdict.get('reason', NONE))}.",
    ]
    given = manifest.override
    if given is not None:
        lines += [
            "",
            f"**Released by override, not by a pass.** {escaped(given.name)} answers for it until "
            f"{given.expires}: {escaped(given.reason)}.",
        ]
    return lines


def _answers(manifest: bundles.Manifest) -> list[str]:
    return [f"It scores: {', '.join(escaped(name) for name in manifest.findings)}."]


def _contract(contract: bundles.InputContract) -> Iterator[str]:
    for label, found in (
        ("modality", contract.modalities),
        ("view", contract.views),
        ("photometric interpretation", contract.photometric),
    ):
        said = "not restricted" if found is None else ", ".join(escaped(one) for one in found)
        yield f"- {label}: {said}"
    for label, span in (("rows", contract.rows), ("columns", contract.columns)):
        yield f"- {label}: " + (
            "not restricted" if span is None else f"{span[0]} to {span[1]} pixels as stored"
        )
    colour = "grey" if contract.channels == 1 else "colour"
    yield f"- brought to {contract.height} × {contract.width} pixels, {colour}, {contract.fit}"
    limit = contract.distance_limit
    yield "- distance from the reference: " + (
        "not judged" if limit is None else f"at most {limit:.4g}"
    )


def _training(reference: bundles.Reference | None, manifest: bundles.Manifest) -> Iterator[str]:
    if reference is None:
        yield f"{NONE.capitalize()}: no reference travels with this model."
        return
    yield (
        f"{reference.n_train} images for training and {reference.n_held} for validation, of "
        f"{reference.n_patients} patients."
    )
    for attribute in manifest.audit.attributes:
        levels = reference.mix.get(attribute, {})
        total = sum(levels.values())
        if total:
            shares = ", ".join(f"{escaped(k)} {n / total:.1%}" for k, n in levels.items())
            yield ""
            yield f"- {escaped(attribute)}: {shares} (images)"


def _performance(reference: bundles.Reference | None) -> Iterator[str]:
    if reference is None or reference.estimates is None:
        yield f"{NONE.capitalize()}: it was not audited here."
        return
    rows = reference.estimates.filter(
        pl.col("contrast").is_null(),
        pl.col("level") == 0.95,
        interval="pointwise",
        adjustment="crude",
    )
    attributes = [name for name in rows.columns if name not in ESTIMATES.columns]
    yield "On the test split, with pointwise 95 % intervals; patients are the independent unit."
    yield ""
    yield "| finding | operating point | metric | group | value | positives | negatives |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows.head(_MOST).iter_rows(named=True):
        group = named({name: row[name] for name in attributes}) or "everybody"
        value = _value(row)
        cells = (row["finding"], row["operating_point"] or "–", row["metric"], group)
        yield (
            f"| {' | '.join(escaped(cell) for cell in cells)} | {value} | {row['n_positive']} | "
            f"{row['n_negative']} |"
        )
    if rows.height > _MOST:
        yield ""
        yield f"{rows.height - _MOST} more rows stand in reference/estimates.parquet."


def _value(row: Mapping[str, object]) -> str:
    value, low, high = row["value"], row["low"], row["high"]
    if not isinstance(value, float):
        return f"not assessable: {escaped(row['reason'] or 'too few')}"
    if not isinstance(low, float) or not isinstance(high, float):
        return f"{value:.3f}"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _points(points: pl.DataFrame) -> Iterator[str]:
    yield "| finding | name | rule | called positive from | chosen on |"
    yield "|---|---|---|---|---|"
    for row in points.iter_rows(named=True):
        cells = (row["finding"], row["operating_point"], row["rule"])
        yield (
            f"| {' | '.join(escaped(cell) for cell in cells)} | {row['threshold']:.6g} | "
            f"{escaped(row['chosen_on'])} |"
        )


def _listed(encoder: Mapping[str, object]) -> list[str]:
    wanted = ("name", "modality", "precision", "licence", "source", "training_data", "notes")
    told = [f"- {name.replace('_', ' ')}: {escaped(encoder.get(name, NONE))}" for name in wanted]
    return told + list(_terms(encoder))


def _terms(encoder: Mapping[str, object]) -> Iterator[str]:
    terms = terms_of(encoder)
    if terms is None:
        yield "- terms: not known"
        return
    for point in POINTS:
        holds = getattr(terms, point)
        said = "not known" if holds is None else ("yes" if holds else "no")
        clause = terms.clauses.get(point)
        yield f"- {point.replace('_', ' ')}: {said}" + (f" ({escaped(clause)})" if clause else "")
    if terms.share_conditions:
        yield f"- may be shared on conditions: {escaped(terms.share_conditions)}"


def _unknown(manifest: bundles.Manifest, reference: bundles.Reference | None) -> Sequence[str]:
    lines = [
        "- Groups other than those declared were not looked at: "
        + ", ".join(escaped(name) for name in manifest.audit.attributes)
        + " were.",
        "- Errors of the reference standard by group cannot be seen from labels alone.",
        "- How it fares in another place is not known before a local acceptance test "
        "(`equipoise accept`).",
    ]
    if reference is None:
        lines.append("- What images it was made from is not known, so that shift cannot be judged.")
    else:
        lines.append(
            "- The reference of the input gate is a mean and a covariance: it sees images that are "
            "far off, not all that the model cannot read."
        )
    return lines
