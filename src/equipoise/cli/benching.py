"""``equipoise bench``: fewer labels, other sites, every mitigation, and stages against stages."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    import polars as pl

    from equipoise.adapt import Options as Adaptation
    from equipoise.adapt import Rows
    from equipoise.scope import Progress

_Cohort = Annotated[Path, typer.Option(help="Folder of the stage that gave the cohort.")]
_Embeddings = Annotated[Path, typer.Option(help="Folder of the stage that gave the embeddings.")]
_Splits = Annotated[Path, typer.Option(help="Folder of the stage that gave the splits.")]
_By = Annotated[
    list[str] | None, typer.Option(help="Attribute that makes the groups. Repeat for more.")
]
_Finding = Annotated[
    list[str] | None, typer.Option(help="Finding to fit probes for; all by default.")
]
_Seed = Annotated[list[int] | None, typer.Option(help="A run; repeat for more (0 to 4).")]
_Reference = Annotated[
    str | None, typer.Option(help="Group to hold the others against; the rest by default.")
]
_Config = Annotated[
    Path | None, typer.Option(help="YAML file with the options; flags go before it.")
]
_Out = Annotated[Path, typer.Option(help="Folder for the tables.")]


def commands() -> typer.Typer:
    """Return the commands of the bench."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", add_completion=False)
    app.command()(labels)
    app.command()(sites)
    app.command()(members)
    app.command()(stages)
    return app


def labels(
    from_cohort: _Cohort,
    from_splits: _Splits,
    from_embeddings: _Embeddings,
    out: _Out,
    by: _By = None,
    fraction: Annotated[
        list[float] | None, typer.Option(help="Share of the labels; repeat (0.1, 0.25, 0.5, 1).")
    ] = None,
    finding: _Finding = None,
    seed: _Seed = None,
    reference: _Reference = None,
    config: _Config = None,
) -> None:
    """Say what fewer labels do to each group and to the gaps between them."""
    from equipoise import bench
    from equipoise.cli.leaving import own_folder
    from equipoise.study import validated

    said = _said(config, by=by, finding=finding, seeds=seed, reference=reference)
    if fraction:
        said["fractions"] = fraction
    options = bench.Labels.model_validate(validated(bench.Labels, said, "bench labels"))
    sources, images = _material(from_cohort, from_splits, from_embeddings, options.adapt)
    own_folder(out, "bench-labels")
    with _running("labels") as progress:
        found = bench.label_curve(images, options, progress=progress)
    _close(found, "labels", options.model_dump(mode="json"), sources, out)


def sites(
    from_cohort: _Cohort,
    from_embeddings: _Embeddings,
    out: _Out,
    train: Annotated[list[str] | None, typer.Option(help="Site to train at. Repeat.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Site to test at only. Repeat.")] = None,
    by: _By = None,
    finding: _Finding = None,
    seed: _Seed = None,
    reference: _Reference = None,
    config: _Config = None,
) -> None:
    """Train at some sites, test there and at others, and show the gaps side by side."""
    from equipoise import bench
    from equipoise.cli.leaving import own_folder
    from equipoise.study import validated
    from equipoise.tables import COHORT, EMBEDDINGS, read

    said = _said(config, by=by, finding=finding, seeds=seed, reference=reference)
    said |= {name: where for name, where in (("train", train), ("test", test)) if where}
    options = bench.Sites.model_validate(validated(bench.Sites, said, "bench sites"))
    sources = {
        "cohort": from_cohort / "cohort.parquet",
        "embeddings": from_embeddings / "embeddings.parquet",
    }
    own_folder(out, "bench-sites")
    with _running("sites") as progress:
        found = bench.across_sites(
            read(sources["cohort"], COHORT),
            read(sources["embeddings"], EMBEDDINGS),
            options,
            progress=progress,
        )
    _close(found, "sites", options.model_dump(mode="json"), sources, out)


def members(
    from_cohort: _Cohort,
    from_splits: _Splits,
    from_embeddings: _Embeddings,
    out: _Out,
    by: _By = None,
    member: Annotated[
        list[str] | None, typer.Option(help="Mitigation to try. Repeat; all by default.")
    ] = None,
    finding: _Finding = None,
    seed: _Seed = None,
    config: _Config = None,
) -> None:
    """Say by how much each mitigation differs from plain training on your images."""
    from equipoise import bench
    from equipoise.cli.leaving import own_folder
    from equipoise.mitigations import MITIGATIONS
    from equipoise.study import validated

    said = _said(config, by=by, finding=finding, seeds=seed)
    own = said["adapt"]
    if isinstance(own, dict) and (member or "candidates" not in own):
        names = member or [name for name in sorted(MITIGATIONS) if name != "plain"]
        own["candidates"] = [{"name": name, "mitigation": name} for name in names]
        own.setdefault("penalties", [0.1])
    options = bench.Members.model_validate(validated(bench.Members, said, "bench members"))
    sources, images = _material(from_cohort, from_splits, from_embeddings, options.adapt)
    own_folder(out, "bench-members")
    with _running("members") as progress:
        found = bench.members(images, options, progress=progress)
    _close(found, "members", options.model_dump(mode="json"), sources, out)


def stages(
    from_cohort: _Cohort,
    from_images: Annotated[Path, typer.Option(help="Folder of the stage that gave the images.")],
    from_splits: _Splits,
    finding: Annotated[str, typer.Option(help="Finding to fit probes for.")],
    by: Annotated[
        list[str], typer.Option(help="Attribute that makes the groups. Repeat for more.")
    ],
    out: _Out,
    seed: _Seed = None,
    config: _Config = None,
) -> None:
    """Hold curation, group-aware pre-training, mitigation and selection against each other."""
    import tempfile

    from equipoise import bench
    from equipoise.cli.leaving import own_folder
    from equipoise.cli.stages import from_file
    from equipoise.study import validated

    said: dict[str, object] = from_file(config) if config is not None else {}
    said |= {"finding": finding, "group_by": by, **({"seeds": seed} if seed else {})}
    options = bench.Stages.model_validate(validated(bench.Stages, said, "bench stages"))
    inputs = {"cohort": from_cohort, "images": from_images, "splits": from_splits}
    own_folder(out, "bench-stages")
    with _running("stages") as progress, tempfile.TemporaryDirectory() as work:
        found = bench.stages(inputs, options, work=Path(work), progress=progress)
    sources = {
        "cohort": from_cohort / "cohort.parquet",
        "splits": from_splits / "splits.parquet",
        "images": from_images / "images.parquet",
    }
    asked = options.model_dump(mode="json")
    _close(found.differences, "stages", asked, sources, out, more={"chosen": found.chosen})


def _material(
    cohort: Path, splits: Path, embeddings: Path, options: "Adaptation"
) -> "tuple[dict[str, Path], Rows]":
    """Return where the tables are, and what is in them."""
    from equipoise import adapt
    from equipoise.tables import COHORT, EMBEDDINGS, SPLITS, read

    sources = {
        "cohort": cohort / "cohort.parquet",
        "splits": splits / "splits.parquet",
        "embeddings": embeddings / "embeddings.parquet",
    }
    images = adapt.rows(
        read(sources["cohort"], COHORT),
        read(sources["splits"], SPLITS),
        read(sources["embeddings"], EMBEDDINGS),
        findings=options.findings,
        group_by=options.group_by,
    )
    return sources, images


def _said(
    config: Path | None, *, by: list[str] | None, finding: list[str] | None, **told: object
) -> dict[str, object]:
    from equipoise.cli.stages import from_file

    said: dict[str, object] = from_file(config) if config is not None else {}
    said |= {name: value for name, value in told.items() if value}
    own = said.get("adapt", {})
    if not isinstance(own, Mapping):
        raise InvalidConfiguration(f"adapt: {own!r}; expected keys with values")
    flags = {"group_by": by, "findings": finding}
    said["adapt"] = {**own, **{name: value for name, value in flags.items() if value}}
    return said


@contextlib.contextmanager
def _running(what: str) -> "Iterator[Progress]":
    """Show a bar while an experiment runs."""
    from equipoise.cli.showing import watching

    with watching() as watch:
        watch.started(what)
        yield lambda about, done, total: watch.progress(what, about, done, total)


def _close(
    found: "pl.DataFrame",
    name: str,
    asked: Mapping[str, object],
    sources: Mapping[str, Path],
    out: Path,
    *,
    more: "Mapping[str, pl.DataFrame] | None" = None,
) -> None:
    """Write tables and evidence, count the opening of the test split, print what was found."""
    import json

    from equipoise import evidence
    from equipoise.cli.benched import shown
    from equipoise.cli.leaving import both, leave
    from equipoise.cli.showing import say
    from equipoise.cli.studies import told_openings

    said = {"asked": dict(asked), "rows": found.to_dicts()}
    content = json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False).encode()
    tables = both(found, name)
    for what, table in (more or {}).items():
        tables |= both(table, what)
    # Counted first: a kill in between counts once too often, never once too little. Beside the
    # cohort, where the study's own openings are counted, wherever the tables go.
    beside = sources["cohort"].parent.parent
    evidence.note_opening(beside, {"stage": f"bench {name}", "asked": evidence.digest(dict(asked))})
    leave(
        f"bench-{name}",
        out,
        {**tables, f"{name}.json": content},
        sources=sources,
        told=asked,
        result={"rows": found.height, "failed": found.filter(found["failed"] > 0).height},
    )
    shown(name, found)
    for reason in found.filter(found["failed"] > 0)["reason"].unique().sort():
        say(f"failed: {reason}")
    told_openings(beside)
