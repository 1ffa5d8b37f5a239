"""``equipoise zeroshot``: scores from texts alone, and how far they hang on the words."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    import polars as pl

    from equipoise.encoders import Card


@dataclass(frozen=True, slots=True)
class _Asked:
    """For whom prompt sensitivity is looked at, as it was said."""

    cohort: Path
    by: list[str]
    patient: str | None
    references: list[str]
    intersect: int
    minimum: int


def zeroshot(
    embeddings: Annotated[
        Path,
        typer.Argument(
            help="Embeddings of images, projected into the space of texts.", metavar="EMBEDDINGS"
        ),
    ],
    prompts: Annotated[Path, typer.Option(help="The prompt set, a YAML file.")],
    out: Annotated[Path, typer.Option(help="Folder for predictions and tables.")],
    path: Annotated[
        Path | None,
        typer.Option(help="Folder of the model; without it, the source_id of its card."),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(help="transformers or open_clip; by default what the card says."),
    ] = None,
    cohort: Annotated[
        Path | None, typer.Option(help="The cohort with its labels, for prompt sensitivity.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Attribute, as sex=F,M,unknown. Repeat for more."),
    ] = None,
    patient: Annotated[
        str | None, typer.Option(help="Column that says whose image it is; patient_id if any.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="Level to compare with, as sex=M; without it, with the rest."),
    ] = None,
    intersect: Annotated[int, typer.Option(help="Attributes combined at most.", min=1, max=3)] = 1,
    minimum: Annotated[
        int, typer.Option(help="Positives, negatives and patients a group needs.", min=2)
    ] = 30,
) -> None:
    """Score findings by what is said of them, without labels; with a cohort, prompt by prompt."""
    from equipoise import encoders, tables
    from equipoise.cli.showing import talk
    from equipoise.encoders.texts import check_same_model
    from equipoise.scope import Scope

    if (cohort is None) != (not by):
        raise InvalidConfiguration("--cohort and --by: expected both, or neither")
    said = encoders.load_prompts(prompts)
    place = embeddings / "embeddings.parquet" if embeddings.is_dir() else embeddings
    vectors = tables.read(place, tables.EMBEDDINGS)
    head = tables.metadata(place, "embeddings")
    card = _card(head, place)
    parameters: dict[str, object] = {"card": card.model_dump(mode="json", exclude_none=True)}
    if path is not None:
        parameters["path"] = str(path.absolute())
    tower = encoders.text_tower(_family(family, card), parameters, Scope())
    check_same_model(tower, card, str(head.get("digest")), str(head.get("precision")))
    told = {"encoder": head["digest"], "tower": tower.digest, "prompts": said.digest()}
    more = {**told, "candidate": "zero-shot", "prompt_set": said.model_dump(mode="json")}
    out.mkdir(parents=True, exist_ok=True)
    found = encoders.zero_shot(vectors, tower, said)
    tables.write(found, out / "predictions.parquet", tables.PREDICTIONS, more=more)
    talk().print(
        f"wrote predictions.parquet to {out}: prompts '{said.name}' ({said.digest()[:12]}); scores "
        "are not calibrated to any population",
        markup=False,
        soft_wrap=True,
    )
    if cohort is not None:
        each = encoders.zero_shot_each(vectors, tower, said)
        asked = _Asked(cohort, by or [], patient, reference or [], intersect, minimum)
        _sensitivity(each, asked, out)


def _card(head: dict[str, object], place: Path) -> "Card":
    """Return the card that the embeddings were made with."""
    from equipoise.encoders import card_of

    card = head.get("card")
    if not isinstance(card, dict):
        raise InvalidConfiguration(
            f"{place}: does not say which encoder made it; expected embeddings of equipoise embed"
        )
    return card_of(card, where=f"card in {place}")


def _family(asked: str | None, card: "Card") -> str:
    found = asked or card.loader
    if found is None:
        raise InvalidConfiguration(
            f"card '{card.name}' says no loader; expected --family transformers or open_clip"
        )
    return found


def _sensitivity(each: "pl.DataFrame", asked: _Asked, out: Path) -> None:
    from equipoise import audit as engine
    from equipoise import tables
    from equipoise.cli.saying import levels_said, pair_said, patient_column
    from equipoise.metrics import Minimum

    place = asked.cohort / "cohort.parquet" if asked.cohort.is_dir() else asked.cohort
    people = tables.read(place, tables.COHORT)
    least = asked.minimum
    found = engine.prompt_estimates(
        each,
        people,
        by=levels_said(asked.by),
        patient=patient_column(asked.patient, people.columns),
        options=engine.Options(
            references=dict(pair_said(said, "--reference") for said in asked.references),
            intersections=asked.intersect,
            minimum=Minimum(positives=least, negatives=least, patients=least),
        ),
    )
    spread = engine.prompt_sensitivity(found)
    tables.write_text(out / "prompt_estimates.csv", found.write_csv())
    tables.write_text(out / "prompt_sensitivity.csv", spread.write_csv())
    show(spread)


def show(spread: "pl.DataFrame") -> None:
    """Print how far AUROC and gaps go with the words, finding by finding."""
    import polars as pl

    from equipoise.cli.showing import table, talk

    for (finding,), part in spread.group_by(["finding"], maintain_order=True):
        rows = [_readable(row) for row in part.iter_rows(named=True) if row["n_prompts"]]
        for gaps, title in ((False, "AUROC by prompt"), (True, "gaps of AUROC by prompt")):
            shown = [row for is_gap, row in rows if is_gap == gaps]
            if shown:
                frame = pl.DataFrame(shown, infer_schema_length=None)
                table(frame, f"{finding}: {title}", right=["prompts", "range", "sd"])
    talk().print(
        "from and to: least and greatest over single prompts; ensemble: mean of their vectors. A "
        "gap that turns changes sides with the wording ('clearly': beyond both intervals). Prompts "
        "chosen by this table are tuned on what is audited.",
        soft_wrap=True,
    )


def _readable(row: "dict[str, object]") -> "tuple[bool, dict[str, object]]":
    from equipoise.metrics import named

    keys = list(row)
    levels = {key: row[key] for key in keys[1 : keys.index("contrast")]}
    group = named({key: None if level is None else str(level) for key, level in levels.items()})
    gap = row["contrast"] is not None
    shape = "{:+.3f}" if gap else "{:.3f}"
    one: dict[str, object] = {"group": group}
    if gap:
        one["against"] = row["against"]
    for name, key in (("ensemble", "ensemble"), ("from", "lowest"), ("to", "highest")):
        one[name] = None if row[key] is None else shape.format(row[key])
    for name in ("range", "sd"):
        one[name] = None if row[name] is None else f"{row[name]:.3f}"
    one["prompts"] = row["n_prompts"]
    if gap:
        turns = "turns clearly" if row["sign_changes_clearly"] else "turns"
        one["side"] = turns if row["sign_changes"] else "keeps"
    return gap, one
