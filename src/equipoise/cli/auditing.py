"""``equipoise audit``: from a table of predictions to estimates and, with a policy, a verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    import polars as pl

    from equipoise.gate import Judgement

_SHOWN = 12
"""Groups shown per metric on the terminal; the rest stands in the files."""

_PATIENT = "patient_id"


def audit(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet: label and score (or label:<finding>, score:<finding>), "
            "a column per attribute, a patient id.",
            metavar="PREDICTIONS",
        ),
    ],
    by: Annotated[
        list[str],
        typer.Option(
            help="Attribute, as sex=F,M,unknown. Without levels they are taken from the data "
            "and every result is exploratory. Repeat for more."
        ),
    ],
    patient: Annotated[
        str | None,
        typer.Option(help=f"Column that says whose image it is; {_PATIENT} if there is one."),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="Level to compare with, as sex=M; without it, with the rest."),
    ] = None,
    intersect: Annotated[int, typer.Option(help="Attributes combined at most.", min=1, max=3)] = 2,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="Operating point, as 0.5 or screening=0.2. Without one only metrics that "
            "need none are reported."
        ),
    ] = None,
    operating_points: Annotated[
        Path | None, typer.Option(help="Table of finding, operating_point, threshold.")
    ] = None,
    finding: Annotated[
        list[str] | None, typer.Option(help="Finding to audit; all by default.")
    ] = None,
    minimum: Annotated[
        int, typer.Option(help="Positives, negatives and patients a group needs.", min=2)
    ] = 30,
    policy: Annotated[Path | None, typer.Option(help="Policy to hold the audit against.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for estimates and evidence.")] = None,
) -> None:
    """Count and estimate performance for every declared subgroup."""
    from equipoise import audit as engine
    from equipoise.metrics import Minimum

    options = engine.Options(
        references=dict(pair_said(said, "--reference") for said in reference or []),
        intersections=intersect,
        findings=finding,
        minimum=Minimum(positives=minimum, negatives=minimum, patients=minimum),
    )
    frame = engine.read_predictions(predictions)
    levels = levels_said(by)
    found = engine.estimates(
        frame,
        by=levels,
        patient=patient_column(patient, frame),
        operating_points=points_said(threshold or [], operating_points),
        options=options,
    )
    show(found, exploratory=None in levels.values())
    judgement = None if policy is None else _judged(found, policy)
    if out is not None:
        given = {"predictions": predictions, "policy": policy, "operating_points": operating_points}
        told = {**options.model_dump(mode="json"), "by": by, "threshold": threshold or []}
        _write(found, judgement, out, given, told)
    if judgement is not None:
        raise typer.Exit(judgement.verdict.exit_code)


def levels_said(by: Sequence[str]) -> dict[str, list[str] | None]:
    levels: dict[str, list[str] | None] = {}
    for said in by:
        name, equals, rest = said.partition("=")
        levels[name] = rest.split(",") if equals else None
    return levels


def pair_said(said: str, flag: str) -> tuple[str, str]:
    name, equals, value = said.partition("=")
    if not equals or not value:
        raise InvalidConfiguration(f"{flag} {said}: expected attribute=level, as sex=M")
    return name, value


def patient_column(asked: str | None, frame: "pl.DataFrame") -> str | None:
    from equipoise.cli.showing import talk

    if asked is not None:
        return asked
    if _PATIENT in frame.columns:
        return _PATIENT
    talk().print(
        "[bold]no patient ids:[/] images are taken as independent; where a patient has several, "
        "the intervals are too narrow. Name the column with --patient.",
        soft_wrap=True,
    )
    return None


def points_said(
    said: Sequence[str], table: Path | None
) -> "pl.DataFrame | dict[str, float] | None":
    from equipoise.tables import read_foreign

    if said and table is not None:
        raise InvalidConfiguration("--threshold and --operating-points: expected one of them")
    if table is not None:
        return read_foreign(table, "operating points")
    points = {}
    for one in said:
        name, equals, value = one.rpartition("=")
        try:
            points[name if equals else f"stated {value}"] = float(value)
        except ValueError as error:
            raise InvalidConfiguration(f"--threshold {one}: '{value}' is no number") from error
    return points or None


def show(found: "pl.DataFrame", *, exploratory: bool) -> None:
    """Print the worst groups of each metric, and what is not assessable."""
    import polars as pl

    from equipoise.audit import summary
    from equipoise.cli.showing import say, table, talk

    rows = summary(found)
    parts = ["finding", "operating_point", "metric"]
    for key, part in rows.group_by(parts, maintain_order=True):
        known, lacking = (
            part.filter(pl.col("value").is_not_null()),
            part.filter(pl.col("value").is_null()),
        )
        title = " · ".join(str(word) for word in key if word is not None)
        if known.height > _SHOWN:
            title += f" (the {_SHOWN} worst of {known.height} groups; all with --out)"
        if known.height:
            table(
                _readable(known.head(_SHOWN)), title, right=["positives", "negatives", "patients"]
            )
        for row in lacking.iter_rows(named=True):
            say(f"{key[-1]} not assessable: {row['note'] or row['group']}")
    talk().print(
        "value: pointwise 95 % interval; difference: simultaneous 95 % interval over all "
        "differences of this call. Worst group first.",
        soft_wrap=True,
    )
    if exploratory:
        talk().print(
            "[bold]exploratory:[/] levels were taken from the data, so no result here can pass "
            "a gate. Declare them, as --by sex=F,M,unknown.",
            soft_wrap=True,
        )


def _readable(rows: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    columns: dict[str, pl.Expr] = {
        "group": pl.col("group"),
        "value": _interval("value", "low", "high"),
        "difference": _interval("difference", "difference_low", "difference_high", sign=True),
        "against": pl.col("against"),
        "positives": pl.col("n_positive"),
        "negatives": pl.col("n_negative"),
        "patients": pl.col("n_patients"),
    }
    if rows["note"].is_not_null().any():
        columns["note"] = pl.col("note")
    return rows.select(**columns)


def _interval(value: str, low: str, high: str, *, sign: bool = False) -> "pl.Expr":
    import polars as pl

    form = "{:+.3f}" if sign else "{:.3f}"

    def said(row: dict[str, float | None]) -> str | None:
        if row[value] is None:
            return None
        limits = [row[low], row[high]]
        if None in limits:
            return form.format(row[value])
        return f"{form} ({form} to {form})".format(row[value], *limits)

    return pl.struct(value, low, high).map_elements(said, return_dtype=pl.String)


def _judged(found: "pl.DataFrame", policy: Path) -> "Judgement":
    from equipoise import gate, policies
    from equipoise.cli.showing import talk

    judgement = gate.judge(found, policies.load(policy))
    talk().print(f"verdict: [bold]{judgement.verdict.value}[/]", highlight=False)
    talk().print(f"  {judgement.reason}", markup=False, soft_wrap=True)
    return judgement


def _write(
    found: "pl.DataFrame",
    judgement: "Judgement | None",
    out: Path,
    given: Mapping[str, Path | None],
    told: Mapping[str, object],
) -> None:
    from equipoise import __version__, evidence, tables
    from equipoise import audit as engine
    from equipoise.cli.showing import talk

    names = ["estimates.parquet", "estimates.csv"]
    tables.write(found, out / names[0], tables.ESTIMATES)
    tables.write_text(out / names[1], found.write_csv())
    if judgement is not None:
        names.append("verdict.json")
        tables.write_json(out / names[2], judgement.as_json())
    said = evidence.statement(
        "audit",
        subject={name: tables.file_digest(out / name) for name in names},
        inputs={f"source:{k}": tables.file_digest(v) for k, v in given.items() if v is not None},
        parameters=told,
        result={"estimates": found.height},
        code={"equipoise": __version__, "audit": str(engine.VERSION)},
    )
    evidence.write_statement(out, said)
    talk().print(f"wrote {', '.join(names)} and evidence.json to {out}", markup=False)
