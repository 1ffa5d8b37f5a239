"""``equipoise audit``: from a table of predictions to estimates and, with a policy, a verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.cli.saying import (
    PATIENT,
    levels_said,
    pair_said,
    patient_column,
    points_said,
    validated,
)
from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    import polars as pl

    from equipoise.audit import Options
    from equipoise.gate import Judgement
    from equipoise.metrics import Estimated
    from equipoise.metrics.standardised import Standardised

_SOURCES = ("predictions", "policy", "operating_points", "tune", "metadata")
"""What an audit is made of, as the evidence names it."""


def audit(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="CSV, Parquet, Arrow or Feather: label and score (or label:<finding>, "
            "score:<finding>; or a label of class names, score:<class>), a column per attribute, "
            "a patient id. Tables of fairmedfm, Fairlearn and MEDFAIR are read as they are.",
            metavar="PREDICTIONS",
        ),
    ],
    by: Annotated[
        list[str],
        typer.Option(
            help="Attribute, as sex=F,M,unknown, or age_years=0-39,40-64,65+ to cut numbers. "
            "Without levels they are taken from the data and every result is exploratory. "
            "Repeat for more."
        ),
    ],
    patient: Annotated[
        str | None,
        typer.Option(help=f"Column that says whose image it is; {PATIENT} if there is one."),
    ] = None,
    combine: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Attributes to combine, as sex,age_band, instead of all up to --intersect. "
            "Repeat for more sets.",
        ),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="Level to compare with, as sex=M; without it, with the rest."),
    ] = None,
    intersect: Annotated[int, typer.Option(help="Attributes combined at most.", min=1, max=3)] = 2,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="Operating point, as 0.5 or screening=0.2: stated, not chosen. Without one "
            "only metrics that need none are reported."
        ),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            help="Operating point by a rule: specificity=0.9, sensitivity=0.9, max_f1, youden, "
            "net_benefit=0.1. Chosen on --tune, or on the split 'validation' of the table."
        ),
    ] = None,
    tune: Annotated[
        Path | None,
        typer.Option(help="Predictions on which rules choose: no image of them may be audited."),
    ] = None,
    operating_points: Annotated[
        Path | None, typer.Option(help="Table of finding, operating_point, threshold.")
    ] = None,
    finding: Annotated[
        list[str] | None, typer.Option(help="Finding to audit; all by default.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Metric to report; all by default.")
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="Table of attributes, joined by --on.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            help="Column that predictions and --metadata share; 'row': image_id is the number "
            "of its row, as in MEDFAIR."
        ),
    ] = None,
    minimum: Annotated[
        int, typer.Option(help="Positives, negatives and patients a group needs.", min=2)
    ] = 30,
    candidate: Annotated[
        str | None, typer.Option(help="What the model is called in the estimates.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws behind the intervals.", min=0)] = 0,
    stream: Annotated[
        bool,
        typer.Option(
            help="Read Parquet in batches, for tables larger than memory: a file, a folder or a "
            "pattern. AUROC and rates only; levels must be declared."
        ),
    ] = False,
    workers: Annotated[
        int, typer.Option(help="Processes that read a stream sorted by patient.", min=1)
    ] = 1,
    figures: Annotated[
        bool, typer.Option(help="Write forests, ROC, reliability and decision curves as SVG.")
    ] = False,
    tipping: Annotated[
        bool, typer.Option(help="Say how much label error in a group would overturn its gap.")
    ] = False,
    margin: Annotated[
        float | None,
        typer.Option(
            help="With --tipping: how large a gap is tolerated, as 0.05; says too what would "
            "change the verdict."
        ),
    ] = None,
    standardise: Annotated[
        list[str] | None,
        typer.Option(
            help="Case mix to standardise to, beside the crude: age_band=overall, "
            "view=AP:0.5,PA:0.5 or prevalence=0.1; several columns of one mix with ';' between. "
            "Repeat for more mixes."
        ),
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy to hold the audit against.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for estimates and evidence.")] = None,
) -> None:
    """Count and estimate performance for every declared subgroup."""
    from equipoise import audit as engine
    from equipoise.cli.leaving import both
    from equipoise.cli.standardising import mixes_said, show_standardised
    from equipoise.cli.streaming import drawings, streamed
    from equipoise.cli.tabulating import show, show_points, show_tipping

    if margin is not None and not tipping:
        raise InvalidConfiguration("--margin: says what label error would do; expected --tipping")
    options = _options(
        reference=reference,
        intersections=intersect,
        sets=combine,
        findings=finding,
        metrics=metric,
        candidate=candidate,
        seed=seed,
        minimum=minimum,
        standardise=mixes_said(standardise),
    )
    levels = levels_said(by)
    at_mixes: list[Standardised] = []
    if stream:
        stated = points_said(threshold, rule)
        made = streamed(predictions, levels, patient, stated, operating_points, options, workers)
        points = None
    else:
        frame = _read(predictions, metadata, on)
        who = patient_column(patient, frame.columns)
        told_of = points_said(threshold, rule)
        points = _points(frame, who, told_of, table=operating_points, tune=tune)
        made, at_mixes = _in_memory(frame, levels, who, points, options)
    found = engine.below(made.estimates, at_mixes)
    if points is not None:
        show_points(points)
    show(found, exploratory=None in levels.values())
    for one in at_mixes:
        show_standardised(made.estimates, one)
    tipped = show_tipping(made, margin) if tipping else None
    judgement = None if policy is None else _judged(found, policy)
    if out is not None:
        sources = (predictions, policy, operating_points, tune, metadata)
        given = dict(zip(_SOURCES, sources, strict=True))
        said = {"by": by, "threshold": threshold or [], "rule": rule or [], "margin": margin}
        told = {**options.model_dump(mode="json"), **said}
        more = drawings(made) if figures else {}
        if tipped is not None:
            more |= both(tipped, "tipping")
        _write(found, points, judgement, out, given, told, more)
    if judgement is not None:
        raise typer.Exit(judgement.verdict.exit_code)


def _options(
    *, reference: Sequence[str] | None, sets: Sequence[str] | None, minimum: int, **said: object
) -> "Options":
    from equipoise.audit import Options

    # What was not said is left to the model, where the defaults stand.
    told = {name: value for name, value in said.items() if value is not None}
    people = {"positives": minimum, "negatives": minimum, "patients": minimum}
    return validated(
        Options,
        {
            **told,
            "references": dict(pair_said(one, "--reference") for one in reference or []),
            "sets": None if sets is None else [one.split(",") for one in sets],
            "minimum": people,
        },
    )


def _in_memory(
    frame: "pl.DataFrame",
    levels: Mapping[str, Sequence[str] | None],
    patient: str | None,
    points: "pl.DataFrame | None",
    options: "Options",
) -> "tuple[Estimated, list[Standardised]]":
    """Return the crude audit, and what the weights of each case mix made of it."""
    from equipoise.audit import audited, reweighted

    plain = options.model_copy(update={"standardise": []})
    made = audited(frame, by=levels, patient=patient, operating_points=points, options=plain)
    return made, [
        reweighted(
            frame,
            by=levels,
            standardise=one,
            patient=patient,
            operating_points=points,
            options=plain,
        )
        for one in options.standardise
    ]


def _read(predictions: Path, metadata: Path | None, on: str | None) -> "pl.DataFrame":
    from equipoise.audit import read_predictions
    from equipoise.metrics.reading import table_of, with_metadata

    frame = read_predictions(predictions)
    if metadata is None:
        return frame
    return with_metadata(frame, table_of(metadata, "metadata"), on=on)


def _points(
    frame: "pl.DataFrame",
    patient: str | None,
    said: Mapping[str, float | str],
    *,
    table: Path | None,
    tune: Path | None,
) -> "pl.DataFrame | None":
    from equipoise.audit.points import Rows, points_of
    from equipoise.metrics.reading import of_split
    from equipoise.tables import read_foreign

    if said and table is not None:
        raise InvalidConfiguration(
            "--threshold or --rule, and --operating-points: expected one of them"
        )
    if table is not None:
        return read_foreign(table, "operating points")
    if not said:
        return None
    rows = Rows(of_split(frame, None, patient), frame, "test", patient)
    return points_of(said, rows, tune)


def _judged(found: "pl.DataFrame", policy: Path) -> "Judgement":
    from equipoise import gate, policies
    from equipoise.cli.showing import talk

    judgement = gate.judge(found, policies.load(policy))
    talk().print(f"verdict: [bold]{judgement.verdict.value}[/]", highlight=False)
    talk().print(f"  {judgement.reason}", markup=False, soft_wrap=True)
    return judgement


def _write(
    found: "pl.DataFrame",
    points: "pl.DataFrame | None",
    judgement: "Judgement | None",
    out: Path,
    given: Mapping[str, Path | None],
    told: Mapping[str, object],
    more: Mapping[str, bytes],
) -> None:
    from equipoise import __version__, evidence, tables
    from equipoise import audit as engine
    from equipoise.cli.showing import talk

    names = ["estimates.parquet", "estimates.csv"]
    tables.write(found, out / names[0], tables.ESTIMATES)
    tables.write_text(out / names[1], found.write_csv())
    if points is not None:
        names.append("operating_points.csv")
        tables.write_text(out / names[-1], points.write_csv())
    if judgement is not None:
        names.append("verdict.json")
        tables.write_json(out / names[-1], judgement.as_json())
    for name, content in more.items():
        names.append(name)
        tables.write_bytes(out / name, content)
    said = evidence.statement(
        "audit",
        subject={name: tables.file_digest(out / name) for name in names},
        inputs={
            f"source:{k}" if file == v else f"source:{k}/{file.name}": tables.file_digest(file)
            for k, v in given.items()
            if v is not None
            for file in _files(v)
        },
        parameters=told,
        result={"estimates": found.height},
        code={"equipoise": __version__, "audit": str(engine.VERSION)},
    )
    evidence.write_statement(out, said)
    shown = [name for name in names if not name.startswith("figures/")]
    drawn = len(names) - len(shown)
    pictures = f", {drawn} figures" if drawn else ""
    talk().print(f"wrote {', '.join(shown)}{pictures} and evidence.json to {out}", markup=False)


def _files(path: Path) -> list[Path]:
    """Return the files that a path or a pattern stands for."""
    if path.is_file():
        return [path]
    folder, pattern = (path, "*.parquet") if path.is_dir() else (path.parent, path.name)
    return sorted(folder.glob(pattern))
