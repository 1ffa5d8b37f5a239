"""``equipoise power``: before the data, how many patients a group must have for a verdict."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise.cli.saying import options_said


def power(
    expected: Annotated[float, typer.Option(help="Value of the metric, as expected.")],
    metric: Annotated[
        str, typer.Option(help="sensitivity, specificity, or auroc.")
    ] = "sensitivity",
    floor: Annotated[
        float | None, typer.Option(help="A floor that the group shall be shown to reach.")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="A tolerance within which equal groups shall be shown.")
    ] = None,
    gap: Annotated[
        float | None, typer.Option(help="How much lower the group is: to be found.")
    ] = None,
    chance: Annotated[float, typer.Option(help="How surely, as 0.8.")] = 0.8,
    images: Annotated[float, typer.Option(help="Images of a patient, on average.")] = 1.0,
    agreement: Annotated[
        float, typer.Option(help="How much a patient's images agree, 0 to 1.")
    ] = 0.0,
    contrasts: Annotated[
        int, typer.Option(help="Contrasts that share the simultaneous statement.")
    ] = 1,
    ratio: Annotated[
        float, typer.Option(help="How many times larger is what the group is compared with.")
    ] = 1.0,
    prevalence: Annotated[
        float | None, typer.Option(help="Share of patients with the finding.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV for the table.")] = None,
) -> None:
    """Say how many patients a group must have for a verdict."""
    import polars as pl

    from equipoise import audit as engine
    from equipoise import tables
    from equipoise.cli.showing import table, talk

    told = {
        "metric": metric,
        "expected": expected,
        "floor": floor,
        "margin": margin,
        "gap": gap,
        "chance": chance,
        "images": images,
        "agreement": agreement,
        "contrasts": contrasts,
        "ratio": ratio,
        "prevalence": prevalence,
    }
    asked = options_said(engine.Expected, told, "power")
    found = engine.power(asked)
    shown = found.select(
        "question",
        "needed",
        "images",
        "patients",
        pl.col("chance").round(3),
        "reads",
    )
    table(shown, f"{metric}, expected {expected}", right=["needed", "images", "patients"])
    talk().print(
        "needed: patients of the class the metric is over, in the smallest group; patients: of "
        "both classes there, by the prevalence. Another value than expected needs another number.",
        soft_wrap=True,
    )
    if out is not None:
        tables.write_text(out, found.write_csv())
