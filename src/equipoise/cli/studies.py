"""The commands on a whole study: run, init, verify, schema, demo."""

import json
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from equipoise.errors import InvalidConfiguration

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
    with watching() as watch:
        outcomes = conduct(
            found,
            folder,
            base=study.parent,
            workers=workers or os.cpu_count() or 1,
            source=study.read_bytes(),
            watch=watch,
        )
    if all(outcome.state == "kept" for outcome in outcomes):
        console.print("nothing to do: every stage stands as it was")
    raise typer.Exit(closing(folder))


def closing(run_folder: Path) -> int:
    """Print verdicts and reports of a run, and return the exit code of the worst verdict."""
    from equipoise.cli.showing import talk

    codes = [told_verdict(path) for path in sorted(run_folder.glob("*/verdict.json"))]
    for path in sorted(run_folder.glob("*/release.json")):
        told_release(path)
    for path in sorted(run_folder.glob("*/report.html")):
        talk().print(f"report: {path.resolve()}", markup=False, soft_wrap=True)
    return 1 if 1 in codes else max(codes, default=0)


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
    run_folder: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN")],
) -> None:
    """Recompute every digest of a run and name what is altered, missing or added.

    It finds what was changed by accident. Nothing is signed yet: whoever can write the folder
    can also write its evidence, so it does not find forgery.
    """
    from equipoise.cli.showing import talk
    from equipoise.evidence import verify as verify_run

    console = talk()
    findings = verify_run(run_folder)
    for finding in findings:
        sys.stdout.write(f"{finding.state}\t{finding.name}\t{finding.detail}\n")
    if findings:
        console.print(f"{len(findings)} differences between files and evidence", markup=False)
        raise typer.Exit(1)
    console.print(
        "every file is as its evidence says (this finds accidental change; "
        "forgery will need signatures)"
    )


def demo(
    out: Annotated[Path, typer.Option(help="Folder for both runs.")] = Path("demo"),
    workers: _Workers = None,
) -> None:
    """Run two studies on phantoms, one with a planted bias, and check both verdicts."""
    from equipoise.cli.demonstrating import demonstrate

    raise typer.Exit(demonstrate(out, workers or os.cpu_count() or 1))
