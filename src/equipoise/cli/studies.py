"""The commands on a whole study: run, init, verify, schema, demo."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from equipoise.errors import InvalidConfiguration, Refused

_Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes at once; all cores by default.")
]


def run(
    study: Annotated[Path, typer.Argument(help="The study file.", metavar="STUDY.YAML")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; runs/<name of the study> by default.")
    ] = None,
    workers: _Workers = None,
) -> None:
    """Run a study; what is done already is kept, and it says so."""
    from equipoise.cli.showing import talk, watching
    from equipoise.study import conduct, load

    found = load(study)
    folder = out or Path("runs") / found.name
    console = talk()
    console.print(f"study {found.name}: {len(found.nodes)} stages → {folder}", markup=False)
    try:
        with watching() as watch:
            outcomes = conduct(
                found,
                folder,
                base=study.parent,
                workers=workers or os.cpu_count() or 1,
                source=study.read_bytes(),
                watch=watch,
            )
    except Refused:
        closing(folder)  # the verdict that stands in the way, and the page that shows why
        raise
    if all(outcome.state == "kept" for outcome in outcomes):
        console.print("nothing to do: every stage stands as it was")
    raise typer.Exit(closing(folder))


def closing(run_folder: Path) -> int:
    """Print verdicts, bundles and pages of a run, and return the exit code of the worst verdict."""
    from equipoise.cli.showing import talk

    ended = _ended(run_folder)
    found = [p for p in sorted(run_folder.glob("*/verdict.json")) if p.parent.name in ended]
    codes = [told_verdict(path) for path in found]
    for folder in sorted(path.parent for path in run_folder.glob("*/bundle/bundle.json")):
        if folder.parent.name in ended:
            told_release(folder.parent / "release.json")
        else:
            talk().print(
                f"{folder}: a bundle of an earlier run, which this one did not release",
                markup=False,
                soft_wrap=True,
            )
    told_openings(run_folder)
    told_pages(*(run_folder / name for name in ended))
    return 1 if 1 in codes else max(codes, default=0)


def _ended(run_folder: Path) -> list[str]:
    """Return the stages that the run's evidence names: those that ended, and no older ones."""
    from equipoise.evidence import read_statement

    predicate = read_statement(run_folder)["predicate"]
    result = predicate["result"] if isinstance(predicate, dict) else {}
    return [str(name) for name in result["stages"]]


def told_choice(path: Path) -> None:
    """Print what was chosen by the study's rule and why, and what the other rules would choose."""
    from equipoise.cli.showing import talk

    said = json.loads(path.read_text(encoding="utf-8"))
    console = talk()
    console.print(
        f"chosen by rule {said['rule']}: {said['candidate']}: {said['reason']}",
        markup=False,
        soft_wrap=True,
    )
    for rule, choice in said["choices"].items():
        name = "no number on validation" if choice is None else choice["candidate"]
        console.print(f"  {rule}: {name}", markup=False, soft_wrap=True)


def told_openings(folder: Path) -> None:
    """Print how often a test split was opened by the stages in a folder, if one was."""
    from equipoise.cli.showing import talk
    from equipoise.evidence import opened

    found = opened(folder)
    if found is not None:
        times = "once" if found["times"] == 1 else f"{found['times']} times"
        talk().print(
            f"the test split was opened {times}, for {found['questions']} different "
            f"question{'' if found['questions'] == 1 else 's'}",
            markup=False,
            soft_wrap=True,
        )


def told_pages(*folders: Path) -> None:
    """Print where the pages in some stages' folders lie."""
    for folder in folders:
        for what, name in (("report", "report.html"), ("page", "monitor.html")):
            if (folder / name).is_file():
                told_place(what, folder / name)


def told_place(what: str, path: Path) -> None:
    """Print where something lies, so that it can be opened from anywhere."""
    from equipoise.cli.showing import talk

    talk().print(f"{what}: {path.resolve()}", markup=False, soft_wrap=True)


def told_verdict(path: Path) -> int:
    """Print a verdict with its reason, and return its exit code."""
    from equipoise.cli.showing import talk

    said = json.loads(path.read_text(encoding="utf-8"))
    talk().print(f"verdict ({path.parent.name}): [bold]{said['verdict']}[/]")
    talk().print(f"  {said['reason']}", markup=False, soft_wrap=True)
    return int(said["exit_code"])


def told_release(path: Path) -> None:
    """Print which bundle was made, and who lets it go if it had no pass."""
    from equipoise.cli.showing import talk

    said = json.loads(path.read_text(encoding="utf-8"))
    place = (path.parent / "bundle").resolve()
    talk().print(f"bundle: {place} ({said['bundle'][:12]})", markup=False, soft_wrap=True)
    if said["override"] is not None:
        given = said["override"]
        talk().print(
            f"  RELEASED WITHOUT A PASS ({said['verdict']}): {given['name']} answers for it until "
            f"{given['expires']}: {given['reason']}",
            markup=False,
            soft_wrap=True,
        )


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("study.yaml"),
) -> None:
    """Write a commented study file to start from."""
    from equipoise.cli.showing import talk
    from equipoise.tables import write_bytes

    if path.exists():
        raise InvalidConfiguration(
            f"{path}: stands already and is left as it is", hint="give another name"
        )
    text = resources.files("equipoise.study").joinpath("template.yaml").read_bytes()
    write_bytes(path, text)
    policy = path.with_name("policy.yaml")
    if not policy.exists():
        source = resources.files("equipoise.policies").joinpath("example.yaml")
        write_bytes(policy, source.read_bytes())
    talk().print(f"wrote {path} and {policy}; edit both, then: equipoise run {path}", markup=False)


def schema() -> None:
    """Print the JSON Schema of a study file, for editors."""
    from equipoise.study import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=1, sort_keys=True) + "\n")


def verify(
    run_folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run, a stage or a bundle; or a bundle's zip.", metavar="RUN"
        ),
    ],
) -> None:
    """Recompute every digest of a run or bundle and name what is altered, missing or added.

    It finds what was changed by accident. Nothing is signed yet: whoever can write the folder
    can also write its evidence, so it does not find forgery.
    """
    from equipoise.cli.showing import talk
    from equipoise.evidence import verify as verify_run

    console = talk()
    with _unzipped(run_folder) as folder:
        findings = verify_run(folder)
    for finding in findings:
        sys.stdout.write(f"{finding.state}\t{finding.name}\t{finding.detail}\n")
    if findings:
        count = "1 difference" if len(findings) == 1 else f"{len(findings)} differences"
        console.print(f"{count} between files and evidence", markup=False)
        raise typer.Exit(1)
    console.print(
        "every file is as its evidence says (this finds accidental change; "
        "forgery will need signatures)",
        soft_wrap=True,
    )


@contextlib.contextmanager
def _unzipped(path: Path) -> Iterator[Path]:
    """Yield a folder: the one given, or for as long as it is looked at that of a zip."""
    if not path.is_file():
        yield path
        return
    from equipoise.bundles import unpacked

    with tempfile.TemporaryDirectory() as place:
        yield unpacked(path, Path(place))


def demo(
    out: Annotated[Path, typer.Option(help="Folder for all runs.")] = Path("demo"),
    workers: _Workers = None,
) -> None:
    """Go the whole way round on phantoms: planted bias, release, second site, twelve months."""
    from equipoise.cli.demonstrating import demonstrate

    raise typer.Exit(demonstrate(out, workers or os.cpu_count() or 1))
