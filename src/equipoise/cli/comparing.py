"""``equipoise compare``: what a second model changes, in each group and to each gap."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.cli.saying import levels_said, pair_said, patient_column, points_said, validated
from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    import polars as pl


def compare(
    first: Annotated[Path, typer.Argument(help="Predictions of the first model.", metavar="FIRST")],
    second: Annotated[
        Path,
        typer.Argument(help="Predictions of the second, on the same images.", metavar="SECOND"),
    ],
    by: Annotated[
        list[str],
        typer.Option(help="Attribute, as sex=F,M,unknown. Repeat for more."),
    ],
    patient: Annotated[
        str | None, typer.Option(help="Column that says whose image it is; patient_id if any.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="Level to compare with, as sex=M; without it, with the rest."),
    ] = None,
    intersect: Annotated[int, typer.Option(help="Attributes combined at most.", min=1, max=3)] = 1,
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="Operating point of both, as 0.5 or screening=0.2."),
    ] = None,
    second_threshold: Annotated[
        list[str] | None,
        typer.Option(help="The second model's own, under the same names."),
    ] = None,
    finding: Annotated[
        list[str] | None, typer.Option(help="Finding to compare; all by default.")
    ] = None,
    minimum: Annotated[
        int, typer.Option(help="Positives, negatives and patients a group needs.", min=2)
    ] = 30,
    margin: Annotated[
        float | None,
        typer.Option(help="How large a change is harmless, as 0.05; declared before looking."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the whole comparison.")] = None,
) -> None:
    """Compare two models on the same patients, in every declared subgroup."""
    from equipoise import audit as engine
    from equipoise.metrics import Minimum

    told = {"margin": margin, "findings": finding, "intersections": intersect}
    options = validated(
        engine.Comparison,
        {
            **told,
            "references": dict(pair_said(said, "--reference") for said in reference or []),
            "minimum": Minimum(positives=minimum, negatives=minimum, patients=minimum),
        },
    )
    tables = [engine.read_predictions(path) for path in (first, second)]
    both = points_said(threshold, None)
    own = points_said(second_threshold, None) if second_threshold else both
    if own and not both:
        raise InvalidConfiguration("--second-threshold: expected --threshold for the first too")
    found = engine.compared(
        tables[0],
        tables[1],
        by=levels_said(by),
        patient=patient_column(patient, tables[0].columns),
        operating_points=(both, own) if both else None,
        options=options,
    )
    show(found, margin)
    if out is not None:
        _write(found, engine.unpaired(tables[0], tables[1]), out)


def show(found: "pl.DataFrame", margin: float | None) -> None:
    """Print what changes within groups, then what becomes of each gap, worst first."""
    import polars as pl

    from equipoise.cli.showing import say, table, talk

    for kind, title in ((True, "change within each group"), (False, "change of each gap")):
        rows = found.filter(pl.col("contrast").is_null() == kind)
        known = rows.filter(pl.col("difference").is_not_null()).sort("difference")
        for key, part in known.group_by(
            "finding", "operating_point", "metric", maintain_order=True
        ):
            words = " · ".join(str(word) for word in key if word is not None)
            right = ["first", "second", "positives", "negatives", "patients"]
            table(_readable(part, judged=margin is not None), f"{words}: {title}", right=right)
        for row in rows.filter(pl.col("difference").is_null()).iter_rows(named=True):
            say(f"{row['metric']} of {_group(row)} not assessable: {row['reason']}")
    talk().print(
        "change: second less first, with the simultaneous 95 % interval over all changes of its "
        "kind in this call; p by Holm over the same. A gap is a group less what it is held "
        "against: below 0 it moved to the group's disadvantage.",
        soft_wrap=True,
    )
    if margin is not None:
        talk().print(
            f"within {margin:g}: 'yes' if the pointwise 90 % interval lies within the margin; 'not "
            "worse' if only its lower limit does; 'not shown' is no proof of a difference.",
            soft_wrap=True,
        )
    if found["exploratory"].any():
        talk().print(
            "[bold]exploratory:[/] levels were taken from the data. Declare them, as --by sex=F,M.",
            soft_wrap=True,
        )


def _group(row: "dict[str, object]") -> str:
    from equipoise.metrics import named

    keys = list(row)
    start, end = keys.index("metric") + 1, keys.index("contrast")
    levels = {key: row[key] for key in keys[start:end]}
    return named({key: None if level is None else str(level) for key, level in levels.items()})


def _readable(rows: "pl.DataFrame", *, judged: bool) -> "pl.DataFrame":
    import polars as pl

    told = []
    for row in rows.iter_rows(named=True):
        one: dict[str, object] = {"group": _group(row)}
        if row["against"] is not None:
            one["against"] = row["against"]
        one["first"], one["second"] = (f"{row[name]:.3f}" for name in ("first", "second"))
        limits = row["low_simultaneous"], row["high_simultaneous"]
        one["change"] = "{:+.3f} ({:+.3f} to {:+.3f})".format(row["difference"], *limits)
        one["p"] = "< 0.001" if row["p_holm"] < 0.001 else f"{row['p_holm']:.3f}"
        if judged:
            one["within margin"] = _judged(row)
        one |= {name: row[f"n_{name[:-1]}"] for name in ("positives", "negatives")}
        told.append({**one, "patients": row["n_patients"]})
    return pl.DataFrame(told)


def _judged(row: "dict[str, object]") -> str:
    if row["equivalent"]:
        return "yes"
    return "not worse" if row["not_inferior"] else "not shown"


def _write(found: "pl.DataFrame", alone: "pl.DataFrame", out: Path) -> None:
    from equipoise import tables
    from equipoise.cli.showing import talk

    tables.write_text(out / "comparison.csv", found.write_csv())
    tables.write_text(out / "unpaired.csv", alone.write_csv())
    talk().print(f"wrote comparison.csv and unpaired.csv to {out}", markup=False)
