"""``equipoise accept``: what the test can show, how far local images are off, and the verdict."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

_CASES = {"reference": "if it is here as in its reference"}
_CLAIMED = "if it is here as its maker claims, the same for every group"


def accept(
    bundle: Annotated[
        Path, typer.Argument(help="The bundle, a folder or a zip.", metavar="BUNDLE")
    ],
    cohort: Annotated[
        Path, typer.Option(help="Folder of an ingest stage, or of a run that holds one.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of this test; acceptance/<bundle>-at-<cohort> by default."),
    ] = None,
    draws: Annotated[
        int, typer.Option(help="Draws behind the chance of each verdict.", min=10)
    ] = 100,
    seed: Annotated[int, typer.Option(help="Of all draws.", min=0)] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads at once; all cores by default.")
    ] = None,
) -> None:
    """Test a bundle on local data: power first, then input shift, then audit and gate.

    The bundle's own audit plan and policy decide. Exit code: 0 accepted, 1 refused, 3 not decided.
    """
    from equipoise.cli.showing import say, talk, watching
    from equipoise.study.acceptance import accepted

    folder = out or Path("acceptance") / f"{_named(bundle)}-at-{_named(cohort)}"
    with watching() as watch:
        done = accepted(
            bundle,
            cohort,
            folder,
            on=datetime.now(UTC).date(),
            options={"draws": draws, "seed": seed},
            workers=workers or os.cpu_count() or 1,
            watch=watch,
            stated=_stated,
        )
    say(done.sentence)
    report = (folder / "report" / "report.html").resolve()
    talk().print(f"report: {report}", markup=False, soft_wrap=True)
    raise typer.Exit(done.exit_code)


def _named(path: Path) -> str:
    """Return what tells a bundle or cohort from others: of a stage's own folder the run's name."""
    place = path.resolve()
    if place.stem == "bundle":
        place = place.parent
    inside_a_run = (place / "evidence.json").is_file() and place.parent.joinpath("study.yaml")
    return place.parent.name if inside_a_run and inside_a_run.is_file() else place.stem


def wrap(
    said: Annotated[
        Path, typer.Argument(help="YAML: what is said of the model by hand.", metavar="MODEL.YAML")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the bundle: absent or empty.")],
) -> None:
    """Wrap a model from outside as a bundle, so that an acceptance test can judge it.

    It was never judged, so that it needs an override: name, reason, expires.
    """
    from equipoise.cli.showing import talk
    from equipoise.cli.stages import from_file
    from equipoise.release import Wrapping, wrapped
    from equipoise.scope import Scope
    from equipoise.study import validated

    asked = validated(Wrapping, from_file(said), said.name)
    if not isinstance(asked, Wrapping):
        raise TypeError(type(asked).__name__)
    digest = wrapped(out, asked, Scope(base=said.parent), on=datetime.now(UTC).date())
    talk().print(
        f"bundle {digest[:12]}… in {out}, by override of {asked.override.name} until "
        f"{asked.override.expires}",
        markup=False,
        soft_wrap=True,
    )


def _stated(folder: Path) -> None:
    """Print power, then shift."""
    from equipoise.tables import read_json

    told = read_json(folder / "acceptance.json")
    _override(told)
    show_power(read_json(folder / "power.json"))
    show_shift(read_json(folder / "shift.json"))


def _override(told: Mapping[str, object]) -> None:
    from equipoise.cli.showing import say

    given = told["override"]
    if isinstance(given, Mapping):
        say(
            f"RELEASED BY OVERRIDE, not by a pass: {given['name']} answers for it until "
            f"{given['expires']} ({given['reason']})"
        )


def show_power(said: Mapping[str, object]) -> None:
    """Print what the test can show: chances of each verdict, and what each verdict needs."""
    import polars as pl

    from equipoise.cli.showing import say, table

    chances = [row for row in _rows(said, "chances") if row["draws"]]
    if chances:
        table(
            pl.DataFrame([_chance(row, claimed=_is_claimed(said)) for row in chances]),
            "power, before any result: the chance of each verdict with these images and labels",
            right=["pass", "inconclusive", "not assessable", "fail", "draws"],
        )
    for row in _rows(said, "chances"):
        if not row["draws"]:
            about = row.get("criterion", "chances")
            say(f"{about}: no chance can be told ({row['reason']})")
    needs = [_need(row) for row in _rows(said, "needs")]
    if needs:
        share = said["chance_of_needs"]
        table(
            pl.DataFrame(needs),
            f"positives / negatives that each verdict needs (chance {share:.0%}), and what is here",
            right=["here", "for a pass", "for a fail"],
        )


def _rows(said: Mapping[str, object], name: str) -> list[dict[str, object]]:
    found = said.get(name)
    return found if isinstance(found, list) else []


def _is_claimed(said: Mapping[str, object]) -> bool:
    """See whether the truth drawn from is what a maker claims, since there is no reference."""
    sources = said.get("expected_from")
    found = sources.values() if isinstance(sources, Mapping) else ()
    return any(str(source).startswith("claims") for source in found)


def _chance(row: Mapping[str, object], *, claimed: bool) -> dict[str, str]:
    verdicts = row["verdicts"]
    shares = verdicts if isinstance(verdicts, Mapping) else {}
    truth = _CASES.get(str(row["case"]))
    if truth is not None and claimed:
        truth = _CLAIMED
    if truth is None:
        difference = row.get("difference")
        value = f"{difference:+.3f}" if isinstance(difference, float) else "beyond tolerance"
        truth = f"if {row['metric']} of {row['group']} truly differs by {value}"
    told = {"truth": truth}
    for verdict in ("pass", "inconclusive", "not assessable", "fail"):
        told[verdict] = f"{shares[verdict]['share']:.0%}"
    return {**told, "draws": f"{row['draws']}"}


def _need(row: Mapping[str, object]) -> dict[str, str | None]:
    point = row["operating_point"]
    return {
        "criterion": str(row["name"]),
        "metric": f"{row['metric']}" + (f" at {point}" if point else ""),
        "finding": str(row["finding"]),
        "group": str(row["group"]),
        "here": f"{row['n_positive']} / {row['n_negative']}",
        "for a pass": _numbers(row["needed_for_pass"], row["reason"]),
        "for a fail": _numbers(row["needed_for_fail"], None),
        "enough": "yes" if row["enough_for_pass"] else f"no: {row['lacking'] or 'too few'}",
    }


def _numbers(found: object, reason: object) -> str | None:
    if isinstance(found, Mapping):
        return " / ".join(str(found[k] or "–") for k in ("n_positive", "n_negative"))
    return "none suffices" if reason else None


def show_shift(said: Mapping[str, object]) -> None:
    """Print how local images differ from the bundle's reference."""
    import polars as pl

    from equipoise.cli.showing import say, table

    if said.get("reason"):
        say(f"input shift cannot be judged: {said['reason']}")
    mixes = [row for row in _rows(said, "mixes") if "p" in row]
    if mixes:
        shown = [_mix(row) for row in sorted(mixes, key=lambda r: str(r["p"]))]
        title = "input shift: how the mix differs from the reference (total variation, 0 to 1)"
        table(pl.DataFrame(shown), title, right=["differs by", "by chance", "p (adjusted)"])
    far = said["distances"]
    if isinstance(far, Mapping) and far.get("beyond"):
        beyond: Sequence[Mapping[str, float]] = far["beyond"]
        for row in beyond:
            say(
                f"farther off than {_than(str(row['quantile']))}: {row['share']:.1%} of images"
                f" ({row['low']:.1%} to {row['high']:.1%})"
            )
    gate = said["input_gate"]
    if isinstance(gate, Mapping) and gate["n_images"]:
        say(f"the input gate would refuse {gate['n_images']} of {gate['of']} images:")
        for why, n in list(gate["reasons"].items())[:5]:
            say(f"  {n} times {why}")


def _than(quantile: str) -> str:
    if quantile == "limit":
        return "the input gate allows"
    share = float(quantile)
    return f"{'all' if share == 1.0 else f'{share:.0%}'} of the reference's held-out images"


def _mix(row: Mapping[str, object]) -> dict[str, str]:
    new = row["new_levels"]
    levels = ", ".join(f"{k} ({n})" for k, n in new.items()) if isinstance(new, Mapping) else ""
    return {
        "column": str(row["column"]),
        "differs by": f"{row['total_variation']:.2f}",
        "by chance": f"{row['by_chance']:.2f}",
        "p (adjusted)": f"{row['p']:.3f} ({row['p_adjusted']:.3f})",
        "never seen before": levels,
    }
