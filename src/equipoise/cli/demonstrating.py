"""The demo: two studies on phantoms, alike but for one planted bias, and a check of both."""

import time
from importlib import resources
from pathlib import Path

from equipoise.cli.showing import talk, watching
from equipoise.study import conduct, load
from equipoise.tables import make_folder, read_json, write_bytes

ARMS = ("biased", "twin")
PLANTED = {"sex": "F"}
"""The group in which the biased arm's lesions are less visible."""


def demonstrate(out: Path, workers: int) -> int:
    """Run both arms, print what came out, and return 0 if it is what was planted."""
    console = talk()
    started = time.perf_counter()
    verdicts = {}
    for arm in ARMS:
        console.print(f"[bold]{arm}[/]")
        verdicts[arm] = _arm(arm, out, workers)
    seconds = time.perf_counter() - started
    wrong = _wrong(verdicts)
    for arm in ARMS:
        verdict = verdicts[arm]["verdict"]
        console.print(f"{arm}: verdict [bold]{verdict}[/]", highlight=False)
        console.print(
            f"  report: {(out / arm / 'report' / 'report.html').resolve()}", soft_wrap=True
        )
    for sentence in wrong:
        console.print(f"[bold red]not as planted:[/] {sentence}")
    if not wrong:
        console.print(
            f"as planted: the gate fails where lesions are less visible in {_named(PLANTED)}, "
            f"and not in its twin ({seconds:.0f} s)",
        )
    return 1 if wrong else 0


def _arm(arm: str, out: Path, workers: int) -> dict[str, object]:
    """Write the arm's study beside its results, so that the reader can change and run it."""
    folder = make_folder(out)
    source = resources.files("equipoise.study").joinpath("demo")
    for name in (f"{arm}.yaml", "policy.yaml"):
        write_bytes(folder / name, source.joinpath(name).read_bytes())
    path = folder / f"{arm}.yaml"
    with watching() as watch:
        conduct(
            load(path),
            folder / arm,
            base=folder,
            workers=workers,
            source=path.read_bytes(),
            watch=watch,
        )
    return read_json(folder / arm / "gate" / "verdict.json")


def _wrong(verdicts: dict[str, dict[str, object]]) -> list[str]:
    """Return what is not as it was planted, in sentences."""
    wrong = []
    failed = _failed(verdicts["biased"])
    if verdicts["biased"]["verdict"] != "fail":
        wrong.append(f"the biased arm's verdict is {verdicts['biased']['verdict']}; expected fail")
    elif not any(PLANTED.items() <= group.items() for group in failed):
        wrong.append(f"the biased arm fails on {failed}; expected {_named(PLANTED)}")
    if verdicts["twin"]["verdict"] == "fail":
        wrong.append(f"the twin fails on {_failed(verdicts['twin'])}; expected no fail")
    return wrong


def _failed(verdict: dict[str, object]) -> list[dict[str, object]]:
    """Return the groups whose contrasts or floors failed."""
    criteria = verdict["criteria"]
    return [
        part["subgroup"]
        for criterion in (criteria if isinstance(criteria, list) else [])
        for part in criterion["judgements"]
        if part["outcome"] == "fail"
    ]


def _named(group: dict[str, str]) -> str:
    return ", ".join(f"{attribute}={level}" for attribute, level in group.items())
