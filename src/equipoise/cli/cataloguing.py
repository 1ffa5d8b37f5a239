"""``equipoise encoders``: which models have a card, what it tells, and what of it was seen."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    from equipoise.encoders import Card

_NOT_KNOWN = "not known"


def commands() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    app.command("list")(listed)
    app.command()(show)
    app.command()(check)
    app.command()(export)
    return app


def listed(
    modality: Annotated[
        str | None, typer.Option(help="Only those whose modality holds this word, as eye.")
    ] = None,
    loader: Annotated[
        str | None, typer.Option(help="Only those of this loader, as timm; none: not loadable.")
    ] = None,
) -> None:
    """List the models that have a card, and what may be done with them."""
    import polars as pl

    from equipoise.cli.showing import table, talk
    from equipoise.encoders import catalogue
    from equipoise.errors import nearest

    found = catalogue.table()
    if loader is not None and loader not in found["loader"]:
        known = found["loader"].unique().sort().to_list()
        raise InvalidConfiguration(
            f"--loader {loader}: no card has it; known: {', '.join(known)}",
            hint=nearest(loader, known),
        )
    if loader is not None:
        found = found.filter(loader=loader)
    if modality is not None:
        held = pl.col("modality").str.to_lowercase().str.contains(modality.lower(), literal=True)
        if found.filter(held).is_empty():
            raise InvalidConfiguration(
                f"--modality {modality}: no card holds it; known: "
                + ", ".join(found["modality"].unique().sort())
            )
        found = found.filter(held)
    counted = pl.format("{} of {}", "verified", "facts").alias("facts verified")
    shown = found.with_columns(counted).drop("verified", "facts")
    table(shown, f"{found.height} encoders", right=["dimension", "facts verified"])
    talk().print(
        "commercial: whether its licence allows commercial use; a dash is not known: ask its maker "
        "before such a use. Facts that are not verified are from general knowledge. No weights "
        "come with Equipoise: fetch them from their source, by its terms.",
        soft_wrap=True,
    )


def show(
    name: Annotated[str, typer.Argument(help="A name of the list, or a YAML file.")],
) -> None:
    """Show all that a card tells, each fact with whether anybody has seen it."""
    import polars as pl

    from equipoise.cli.showing import say, table
    from equipoise.encoders import knowledge

    card = _card(name)
    said = card.summary()
    told = [
        {"fact": fact, "value": _worded(said, fact), "seen": seen}
        for fact, seen in _seen(card)
        if fact not in ("populations", "documented_bias")
    ]
    table(pl.DataFrame(told), f"{card.name}: {len(card.facts())} facts")
    _people(card, dict(_seen(card)))
    if card.terms is not None:
        for point, clause in card.terms.clauses.items():
            say(f"{point.replace('_', ' ')}: {clause}")
        if card.terms.share_conditions:
            say(f"may be shared on conditions: {card.terms.share_conditions}")
    say(f"not known: {', '.join(knowledge.not_known(said)) or 'nothing that is asked'}")
    say(f"notes: {card.notes}")
    say(f"seen in: {'; '.join(card.seen_in or ('nothing',))} ({card.checked or 'no date'})")


def _seen(card: "Card") -> Iterator[tuple[str, str]]:
    unseen = card.unverified()
    for fact in card.facts():
        yield fact, "not verified" if fact in unseen else "verified"


def _worded(said: dict[str, object], fact: str) -> str:
    name, _, point = fact.partition(".")
    value = said[name]
    if point and isinstance(value, dict):
        value = value[point]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one}" for key, one in value.items()) or "none needed"
    return str(value)


def _people(card: "Card", seen: dict[str, str]) -> None:
    import polars as pl

    from equipoise.cli.showing import say, table

    if card.populations:
        rows = [one.model_dump() for one in card.populations]
        title = f"who it learnt from ({seen['populations']})"
        table(pl.DataFrame(rows, infer_schema_length=None), title, right=["images"])
    else:
        say(f"who it learnt from: {_NOT_KNOWN}")
    if card.documented_bias:
        for one in card.documented_bias:
            say(f"documented bias ({seen['documented_bias']}): {one.finding} ({one.source})")
    else:
        say(f"documented bias: {_NOT_KNOWN} to this card; that does not say there is none")


def check(
    card: Annotated[
        str | None,
        typer.Argument(help="A YAML file, or a name of the list; all of the list by default."),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(
            help="Its weights: they are loaded, and make the card's vector of the known "
            "image, if it tells one."
        ),
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="As a table in Markdown, for the documentation.")
    ] = False,
) -> None:
    """Check cards against their schema, and name what nobody has verified."""
    from equipoise.cli.showing import say, talk
    from equipoise.encoders import catalogue

    if path is not None:
        if card is None:
            raise InvalidConfiguration(
                f"--path {path}: no card; expected: equipoise encoders check CARD --path WEIGHTS"
            )
        _loaded(card, path)
        return
    cards = [_card(name) for name in ([card] if card else catalogue.names())]
    if unverified:
        for line in _markdown(cards):
            typer.echo(line)
        return
    for one in cards:
        left = one.unverified()
        told = f"not verified: {', '.join(left)}" if left else "all verified"
        say(f"{one.name}: {len(one.facts()) - len(left)} of {len(one.facts())} facts; {told}")
    facts = sum(len(one.facts()) for one in cards)
    left_in_all = sum(len(one.unverified()) for one in cards)
    talk().print(
        f"{len(cards)} card(s) keep to the schema; {left_in_all} of {facts} facts are not verified"
    )


def _markdown(cards: "Sequence[Card]") -> Iterator[str]:
    yield "| card | facts verified | not verified |"
    yield "|---|---|---|"
    for one in cards:
        left, told = one.unverified(), one.facts()
        named = ", ".join(f"`{fact}`" for fact in left) or "–"
        yield f"| {one.name} | {len(told) - len(left)} of {len(told)} | {named} |"
    left_in_all = sum(len(one.unverified()) for one in cards)
    facts = sum(len(one.facts()) for one in cards)
    yield f"| all {len(cards)} | {facts - left_in_all} of {facts} | {left_in_all} facts |"


def _loaded(name: str, path: Path) -> None:
    from equipoise import registry
    from equipoise.cli.showing import say
    from equipoise.encoders import ENCODERS, Encoder
    from equipoise.errors import UnknownName
    from equipoise.scope import Scope

    card = _card(name)
    if card.loader not in ENCODERS:
        raise UnknownName(
            f"card {card.name}: its loader is '{card.loader}'; known: {', '.join(ENCODERS)}",
            hint=card.notes if card.loader == "none" else None,
        )
    load = registry.load(card.loader, ENCODERS, kind="encoder")
    encoder = load({"path": str(path), "card": name}, Scope())
    if not isinstance(encoder, Encoder):
        raise UnknownName(f"card {card.name}: the loader '{card.loader}' gives no encoder")
    kept = (
        "makes the vector of its card"
        if card.test_vector is not None
        else "its card tells no vector of the known image: a wrong normalisation would not show"
    )
    say(f"{card.name}: loaded, {encoder.dimension} values, {encoder.engine}; {kept}")


def _card(name: str) -> "Card":
    from equipoise.encoders import catalogue, load

    path = Path(name)
    if path.is_file() or path.suffix in {".yaml", ".yml"}:
        return load(path)
    return catalogue.card(name)


def export(
    card: Annotated[str, typer.Argument(help="A YAML file, or a name of the list.")],
    path: Annotated[Path, typer.Option(help="Its weights, as its loader takes them.")],
    out: Annotated[Path, typer.Option(help="A new folder for encoder.onnx and card.yaml.")],
) -> None:
    """Write a network of torch as one ONNX file with its card, checked against torch."""
    from equipoise.cli.showing import say
    from equipoise.encoders import exporting
    from equipoise.scope import Scope

    asked = _card(card)
    made = exporting.network(asked.loader or "", {"path": str(path), "card": card}, Scope())
    encoder, least = exporting.exported(made, out, Scope())
    say(
        f"{asked.name}: {encoder.dimension} values, {encoder.engine}; least cosine to torch's "
        f"vectors {least:.7f} over 8 images"
    )
    say(f"embed it with encoder: onnx, path: {out / exporting.FILE}, card: {out / exporting.CARD}")
