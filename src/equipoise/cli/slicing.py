"""``equipoise slices``: hidden groups in which a model fares worse, found and then tested."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.cli.saying import PATIENT, levels_said, validated
from equipoise.errors import InvalidConfiguration, InvalidTable, nearest

if TYPE_CHECKING:
    import polars as pl

    from equipoise.audit import Slices, Slicing

_LIFTED = 5
"""Levels named per slice; all stand in the files."""


def slices(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="As for audit, with image_id: label and score (or label:<finding>, "
            "score:<finding>), a patient id, attributes.",
            metavar="PREDICTIONS",
        ),
    ],
    embeddings: Annotated[
        Path, typer.Option(help="Parquet with image_id and vector, a list of numbers.")
    ],
    metadata: Annotated[
        Path | None, typer.Option(help="Table of attributes and patients, joined by --on.")
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="Column that predictions and --metadata share.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Attribute that is looked for in each slice, as sex=F,M,unknown. Repeat for more."
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", "--finding", help="Finding; the only one by default."),
    ] = None,
    patient: Annotated[str, typer.Option(help="Column that says whose image it is.")] = PATIENT,
    metric: Annotated[
        str, typer.Option(help="What fares worse: sensitivity, specificity, or auroc.")
    ] = "sensitivity",
    threshold: Annotated[
        float | None,
        typer.Option(help="Called positive from here, as 0.5; not needed for auroc."),
    ] = None,
    clusters: Annotated[
        str, typer.Option(help="Numbers of clusters that are tried, declared before looking.")
    ] = "2,4,8",
    tested: Annotated[
        int, typer.Option(help="Slices that are tested, at most.", min=1, max=20)
    ] = 3,
    minimum: Annotated[
        int,
        typer.Option(help="Positives, negatives and patients a slice needs, per half.", min=2),
    ] = 30,
    seed: Annotated[int, typer.Option(help="Of halves and clusters.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for tables, rule and evidence.")] = None,
) -> None:
    """Find hidden groups on half of the patients, and test them on the other half."""
    from equipoise import audit as engine
    from equipoise.cli.leaving import own_folder
    from equipoise.cli.vectors import embeddings_read

    own_folder(out, "slices")
    people = {"positives": minimum, "negatives": minimum, "patients": minimum}
    told = {"metric": metric, "tested": tested, "minimum": people, "seed": seed}
    more = {"clusters": _clusters_said(clusters), "attributes": levels_said(by or [])}
    options = validated(engine.Slicing, {**told, **more})
    vectors = embeddings_read(embeddings)
    frame = _images(predictions, metadata, on, patient)
    finding = _finding(frame, label)
    if threshold is not None and metric == "auroc":
        raise InvalidConfiguration("--threshold: auroc needs none; expected it left out")
    made = _found(vectors, frame, finding, threshold, options)
    show(made)
    if out is not None:
        given = {"predictions": predictions, "embeddings": embeddings, "metadata": metadata}
        said = {"finding": finding, "threshold": threshold, "patient": patient}
        _write(made, _members(made, vectors, frame, finding), out, given, (options, said))


def _clusters_said(said: str) -> tuple[int, ...]:
    try:
        made = tuple(int(one) for one in said.split(","))
    except ValueError as error:
        raise InvalidConfiguration(
            f"--clusters {said}: expected whole numbers, as 2,4,8"
        ) from error
    if min(made) < 2:
        raise InvalidConfiguration(f"--clusters {said}: expected 2 or more each")
    return made


def _images(
    predictions: Path, metadata: Path | None, on: str | None, patient: str
) -> "pl.DataFrame":
    """Return the images that may be audited, the patient under the name the engine uses."""
    from equipoise.audit import read_predictions
    from equipoise.cli.vectors import images_named
    from equipoise.metrics.reading import of_split, table_of, with_metadata

    frame = read_predictions(predictions)
    if metadata is not None:
        frame = with_metadata(frame, table_of(metadata, "metadata"), on=on)
    if patient not in frame.columns:
        raise InvalidTable(
            f"predictions: no column '{patient}'; got {frame.columns}",
            hint="name the column that says whose image it is with --patient",
        )
    frame = images_named(of_split(frame, None, patient), "predictions")
    if patient == PATIENT:
        return frame
    # Another column of the engine's own name is not whose image it is.
    return frame.drop(PATIENT, strict=False).rename({patient: PATIENT})


def _finding(frame: "pl.DataFrame", asked: str | None) -> str:
    from equipoise.tables import findings

    there = findings(frame)
    if asked is None and len(there) == 1:
        return there[0]
    if asked not in there:
        what = "say which with --label" if asked is None else f"no finding '{asked}'"
        raise InvalidConfiguration(
            f"slices: {what}; known findings: {', '.join(there)}",
            hint=None if asked is None else nearest(asked, there),
        )
    return asked


def _found(
    vectors: "pl.DataFrame",
    frame: "pl.DataFrame",
    finding: str,
    threshold: float | None,
    options: "Slicing",
) -> "Slices":
    """Return the slices, with a bar that moves: how long clustering takes nobody knows before."""
    from rich.progress import Progress

    from equipoise import audit as engine
    from equipoise.cli.showing import talk

    with Progress(console=talk(), transient=True, disable=not sys.stderr.isatty()) as bar:
        bar.add_task("looking for slices", total=None)
        return engine.slices(
            vectors, frame, frame, finding=finding, threshold=threshold, options=options
        )


def show(made: "Slices") -> None:
    """Print the slices, what is known of who is in them, and what that says."""
    import polars as pl

    from equipoise.cli.showing import say, table, talk

    if not made.table.height:
        say("no slice fared worse than the rest on the half of the patients where it was sought")
        return
    known = made.table.filter(status="assessed")
    metric = made.table["metric"][0]
    rows = [_readable(row) for row in known.iter_rows(named=True)]
    if rows:
        right = ["images", "patients"]
        table(pl.DataFrame(rows), f"{metric} in slices of the embeddings", right=right)
    for row in made.table.filter(status="not assessable").iter_rows(named=True):
        say(f"not assessable: {row['slice']}: {row['reason']}")
    for sentence in _lifted(made.lifts):
        say(sentence)
    talk().print(
        "found: on the half of the patients where slices were sought, too bad by construction. "
        "tested: on the others, who had no say in it; less the rest, with pointwise 95 % "
        "intervals; p on one side, by Holm over the slices. A confirmed slice is a reason to look "
        "at its images; all of this is exploratory and passes or fails no gate.",
        soft_wrap=True,
    )


def _readable(row: Mapping[str, object]) -> dict[str, object]:
    numbers = {name: float(str(row[name])) for name in row if row[name] is not None and name in _N}
    p = numbers["p_adjusted"]
    return {
        "slice": row["slice"],
        "found": _signed(numbers, "discovery_difference"),
        "tested": _signed(numbers, "difference", "difference_low", "difference_high"),
        "value": "{value:.3f} ({low:.3f} to {high:.3f})".format(**numbers),
        "p": "< 0.001" if p < 0.001 else f"{p:.3f}",
        "confirmed": "yes" if row["confirmed"] else "not shown",
        "images": row["n_images"],
        "patients": row["n_patients"],
    }


_N = (
    "discovery_difference",
    "difference",
    "difference_low",
    "difference_high",
    "value",
    "low",
    "high",
    "p_adjusted",
)


def _signed(numbers: Mapping[str, float], *names: str) -> str | None:
    if any(name not in numbers for name in names):
        return None
    value, *limits = (f"{numbers[name]:+.3f}" for name in names)
    return f"{value} ({' to '.join(limits)})" if limits else value


def _lifted(lifts: "pl.DataFrame") -> Iterator[str]:
    """Yield what levels a slice holds clearly more often than the rest does."""
    import polars as pl

    clear = lifts.filter(pl.col("low") > 1.0)
    for (name,), part in clear.group_by("slice", maintain_order=True):
        parts = [
            f"{row['attribute']} {row['level']} {row['lift']:.1f} times as often "
            f"({row['low']:.1f} to {row['high']:.1f})"
            for row in part.sort("lift", descending=True).head(_LIFTED).iter_rows(named=True)
        ]
        yield f"{name} holds more often than the rest: {', '.join(parts)}"


def _members(
    made: "Slices", vectors: "pl.DataFrame", frame: "pl.DataFrame", finding: str
) -> "pl.DataFrame":
    """Return which images are in which slice: what somebody should look at."""
    import polars as pl

    from equipoise.audit.vectors import embedded

    there = embedded(vectors.join(frame, on="image_id", how="semi"), frame, finding=finding)
    inside = made.rule.inside(there.x)
    named = there.rows.select("image_id", PATIENT, f"label:{finding}", f"score:{finding}")
    parts = [
        named.filter(pl.Series(inside[:, place])).select(
            pl.lit(f"slice {place + 1}").alias("slice"), pl.all()
        )
        for place in range(inside.shape[1])
    ]
    return pl.concat(parts) if parts else named.clear().select(pl.lit("").alias("slice"), pl.all())


def _write(
    made: "Slices",
    members: "pl.DataFrame",
    out: Path,
    sources: Mapping[str, Path | None],
    told: "tuple[Slicing, Mapping[str, object]]",
) -> None:
    from equipoise.cli.leaving import both, leave

    options, said = told
    files = {
        **both(made.table, "slices"),
        **both(made.lifts, "lifts"),
        **both(members, "slice_images"),
        **_rule(made, {"finding": said["finding"]}),
    }
    leave(
        "slices",
        out,
        files,
        sources=sources,
        told={**options.model_dump(mode="json"), **said},
        result={"slices": made.table.height, "confirmed": int(made.table["confirmed"].sum())},
    )


def _rule(made: "Slices", more: dict[str, object]) -> dict[str, bytes]:
    """Return the files that say of any embedding in which slices it is (`audit.load_rule`)."""
    from equipoise.audit import save_rule

    with tempfile.TemporaryDirectory() as folder:
        save_rule(made.rule, Path(folder) / "slice_rule", more=more)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
