"""``equipoise encoding``: which attributes can be read from embeddings, with controls beside."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.cli.saying import PATIENT, levels_said, validated

if TYPE_CHECKING:
    import polars as pl

    from equipoise.audit import Probing

_SHOWN = 12
"""Components shown on the terminal; all stand in the files."""

_CLEAR = 0.05
_CHANCE = 0.5

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is read of which images, as it was said."""

    vectors: "pl.DataFrame"
    cohort: "pl.DataFrame"
    by: Mapping[str, Sequence[str] | None]
    finding: str
    patient: str


def encoding(
    embeddings: Annotated[
        Path,
        typer.Argument(
            help="Parquet with image_id and vector, a list of numbers, as the stage embed writes "
            "it.",
            metavar="EMBEDDINGS",
        ),
    ],
    metadata: Annotated[
        Path,
        typer.Option(help="Table of the images: image_id, patient, attributes and the label."),
    ],
    by: Annotated[
        list[str],
        typer.Option(
            help="Attribute, as sex=F,M,unknown, or age_years=0-39,40-64,65+ to cut numbers. "
            "Repeat for more."
        ),
    ],
    label: Annotated[
        str,
        typer.Option(
            "--label",
            "--finding",
            help="Finding that is given, and the control that should be readable: its column, or "
            "label:<finding>.",
        ),
    ],
    patient: Annotated[str, typer.Option(help="Column that says whose image it is.")] = PATIENT,
    folds: Annotated[int, typer.Option(help="Folds of patients.", min=2, max=20)] = 5,
    penalty: Annotated[float, typer.Option(help="Penalty of the probes, above 0.")] = 0.1,
    minimum: Annotated[
        int, typer.Option(help="Images and patients with a level, and without it.", min=2)
    ] = 30,
    components: Annotated[
        bool,
        typer.Option(help="Test too whether groups lie apart in each principal component."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of folds and of the control.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables and evidence.")] = None,
) -> None:
    """Say which attributes embeddings betray, overall and given the finding."""
    from equipoise import audit as engine
    from equipoise.cli.leaving import both, leave, own_folder
    from equipoise.cli.vectors import embeddings_read, metadata_read

    own_folder(out, "encoding")
    people = {"positives": minimum, "negatives": minimum, "patients": minimum}
    shared = {"minimum": people, "seed": seed}
    probing = validated(engine.Probing, {**shared, "folds": folds, "penalty": penalty})
    tables = embeddings_read(embeddings), metadata_read(metadata, label)
    asked = _Asked(*tables, levels_said(by), label, patient)
    found = _probed(asked, probing)
    show(found, label)
    files = both(found, "encoding")
    if components:
        apart = engine.components(
            asked.vectors,
            asked.cohort,
            by=asked.by,
            finding=label,
            patient=patient,
            options=validated(engine.Components, shared),
        )
        show_components(apart)
        files |= both(apart, "components")
    if out is not None:
        leave(
            "encoding",
            out,
            files,
            sources={"embeddings": embeddings, "metadata": metadata},
            told={"by": by, "label": label, "patient": patient, **probing.model_dump(mode="json")},
            result={"rows": found.height, "components": components},
        )


def _probed(asked: _Asked, options: "Probing") -> "pl.DataFrame":
    """Return what the probes read, with a progress bar."""
    from rich.progress import Progress

    from equipoise import audit as engine
    from equipoise.cli.showing import talk

    with Progress(console=talk(), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("probes", total=None)
        return engine.encoding(
            asked.vectors,
            asked.cohort,
            by=asked.by,
            finding=asked.finding,
            patient=asked.patient,
            options=options,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def show(found: "pl.DataFrame", finding: str) -> None:
    """Print what can be read, the controls beside it, and what that says."""
    import polars as pl

    from equipoise.cli.showing import say, table, talk

    rows = [_readable(overall, given, finding) for overall, given in _paired(found)]
    right = ["images with", "without", "patients with", "patients without"]
    table(pl.DataFrame(rows, infer_schema_length=None), "read from the embeddings", right=right)
    # Why there is no mean is said by the levels that are not in it.
    lacking = found.filter(pl.col("level").is_not_null(), status="not assessable")
    for row in lacking.iter_rows(named=True):
        given = f" given {row['given']}" if row["given"] else ""
        say(f"not assessable: {_named(row)}{given}: {row['reason']}")
    for sentence in (*_controls(found), *_readings(found)):
        say(sentence)
    talk().print(
        "AUROC, with its 95 % interval over patients, of a probe that has not seen the patient: "
        f"0.5 cannot be read, 1 always. given {finding}: among images alike in it, so that what is "
        "read only because the finding goes with it is not. That an attribute can be read does not "
        "say that a model uses it.",
        soft_wrap=True,
    )
    _say_exploratory(found)


def _say_exploratory(found: "pl.DataFrame") -> None:
    from equipoise.cli.showing import talk

    if found["exploratory"].any():
        talk().print(
            "[bold]exploratory:[/] levels were taken from the data. Declare them, as --by sex=F,M.",
            soft_wrap=True,
        )


def _paired(found: "pl.DataFrame") -> Iterator[tuple[Row, Row | None]]:
    """Yield each reading overall and given the finding; of two levels, alike by design, one."""
    rows = found.to_dicts()
    for row in rows:
        levels = _levels(found, row)
        twin = row["role"] == "attribute" and len(levels) == 2 and row["level"] != levels[0]
        if row["given"] is None and not twin:
            same = [
                other
                for other in rows
                if other["given"] is not None
                and all(other[name] == row[name] for name in ("attribute", "level", "role"))
            ]
            name = " or ".join(levels) if len(levels) == 2 else row["level"]
            shown = {**row, "level": name} if row["role"] == "attribute" else row
            yield shown, (same[0] if same else None)


def _levels(found: "pl.DataFrame", row: Row) -> list[str]:
    import polars as pl

    own = found.filter(pl.col("level").is_not_null(), attribute=row["attribute"], role="attribute")
    return [str(level) for level in own["level"].unique(maintain_order=True)]


def _named(row: Row) -> str:
    """Return what was read, in words."""
    if row["role"] == "positive control":
        return f"{row['attribute']} (control: should be readable)"
    if row["role"] == "negative control":
        return f"{row['attribute']} dealt to other patients (control: should not)"
    if row["level"] is None:
        return f"{row['attribute']}, mean of its levels"
    return f"{row['attribute']} {row['level']}"


def _readable(overall: Row, given: Row | None, finding: str) -> dict[str, object]:
    return {
        "what": _named(overall),
        "overall": _limits(overall),
        f"given {finding}": None if given is None else _limits(given),
        "images with": overall["n_with"],
        "without": overall["n_without"],
        "patients with": overall["patients_with"],
        "patients without": overall["patients_without"],
    }


def _limits(row: Row) -> str | None:
    if row["auroc"] is None:
        return None
    value, low, high = (float(str(row[name])) for name in ("auroc", "low", "high"))
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _controls(found: "pl.DataFrame") -> Iterator[str]:
    """Yield what a control that does not behave says of the rest."""
    for row in found.filter(status="assessed").iter_rows(named=True):
        if row["role"] == "positive control" and row["low"] <= _CHANCE:
            yield (
                f"control: {row['attribute']} itself is not shown to be readable; that an "
                "attribute is not shown to be so tells nothing here"
            )
        outside = not row["low"] <= _CHANCE <= row["high"]
        if row["role"] == "negative control" and row["given"] is None and outside:
            yield (
                f"control: {row['attribute']} dealt to other patients seems readable "
                f"({_limits(row)}): by chance that happens once in twenty; look for copies of "
                "images under several patients"
            )


def _readings(found: "pl.DataFrame") -> Iterator[str]:
    """Yield what can be read, a sentence each, and then what is not shown to be."""
    hidden = []
    for overall, given in _paired(found):
        if overall["role"] == "attribute" and overall["level"] is not None:
            where = [one for one in (overall, given) if one is not None and _is_read(one)]
            if where:
                yield f"{_named(overall)} can be read {' and '.join(map(_where, where))}"
            elif overall["auroc"] is not None:
                hidden.append(_named(overall))
    if hidden:
        yield f"not shown to be readable: {', '.join(hidden)}"


def _is_read(row: Row) -> bool:
    return row["low"] is not None and float(str(row["low"])) > _CHANCE


def _where(row: Row) -> str:
    return f"given {row['given']}" if row["given"] else "overall"


def show_components(found: "pl.DataFrame") -> None:
    """Print the components in which groups lie apart, the clearest first."""
    import polars as pl

    from equipoise.cli.showing import say, table

    tested = found.filter(status="assessed")
    apart = tested.filter(pl.col("p_adjusted") < _CLEAR).sort("p_adjusted", "component")
    title = f"components in which groups lie apart: {apart.height} of {tested.height} tests"
    if apart.height > _SHOWN:
        title += f" (the {_SHOWN} clearest; all with --out)"
    if not apart.height:
        say(f"in none of {tested.height} tests of a principal component do groups lie apart")
        return
    share = pl.col("variance_share") * 100.0
    shown = apart.head(_SHOWN).select(
        group=pl.format("{} {}", "attribute", "level"),
        against="against",
        given="given",
        component="component",
        **{"of the variance": pl.format("{} %", share.round(1))},
        distance=pl.col("statistic").map_elements("{:.3f}".format, return_dtype=pl.String),
        lies="direction",
        p=pl.when(pl.col("p_adjusted") < 0.001)
        .then(pl.lit("< 0.001"))
        .otherwise(pl.col("p_adjusted").round(3).cast(pl.String)),
    )
    table(shown, title, right=["component", "of the variance", "distance"])
    for row in found.filter(status="not assessable").iter_rows(named=True):
        say(f"not assessable: components, {row['attribute']} {row['level']}: {row['reason']}")
