"""The demo: a biased study and its twin, then the twin's model at a second site, watched a year."""

import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from equipoise.cli.showing import talk, watching
from equipoise.study import conduct, load
from equipoise.tables import make_folder, read_json, write_bytes

ARMS = ("biased", "twin", "second-site")
PLANTED = {"sex": "F"}
"""The group that the biased arm's lesions are less visible in, and the second site's drift hits."""

DRIFT_SINCE = "2024-05-01"
"""First day of the month from which the second site's scanner is noisier for that group."""


def demonstrate(out: Path, workers: int) -> int:
    """Run the three studies, print what came out, and return 0 if it is what was planted."""
    console = talk()
    started = time.perf_counter()
    folder = make_folder(out)
    source = resources.files("equipoise.study").joinpath("demo")
    for name in (*(f"{arm}.yaml" for arm in ARMS), "policy.yaml"):
        write_bytes(folder / name, source.joinpath(name).read_bytes())
    for arm in ARMS:
        console.print(f"[bold]{arm}[/]: {_TOLD[arm]}", highlight=False)
        _arm(arm, folder, workers)
    seconds = time.perf_counter() - started
    wrong = [*_wrong_arms(folder), *_wrong_months(folder)]
    for sentence in _story(folder):
        console.print(sentence, highlight=False, soft_wrap=True)
    for sentence in wrong:
        console.print(f"[bold red]not as planted:[/] {sentence}")
    if not wrong:
        console.print(f"all as planted ({seconds:.0f} s)", highlight=False)
    return 1 if wrong else 0


_TOLD = {
    "biased": "lesions are less visible in sex=F; the gate must fail",
    "twin": "the same without that bias; the gate must pass, and the model is released",
    "second-site": "another hospital tests the released model, then uses it for twelve months",
}


def _arm(arm: str, folder: Path, workers: int) -> None:
    """Run an arm's study, which lies beside its results, so that the reader can change it."""
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


def _story(folder: Path) -> list[str]:
    """Return what happened, a line each, and where to read more."""
    told = []
    for arm in ARMS:
        verdict = read_json(folder / arm / "gate" / "verdict.json")
        told.append(f"{arm}: verdict [bold]{verdict['verdict']}[/]")
        told.append(f"  report: {(folder / arm / 'report' / 'report.html').resolve()}")
    watched = read_json(folder / ARMS[-1] / "monitor" / "verdict.json")
    told.append(f"twelve months in use: [bold]{watched['verdict']}[/], {watched['reason']}")
    told.append(f"  monitor: {(folder / ARMS[-1] / 'monitor' / 'monitor.html').resolve()}")
    return told


def _wrong_arms(folder: Path) -> list[str]:
    """Return what the gates said that was not planted, in sentences."""
    biased, twin, second = (read_json(folder / arm / "gate" / "verdict.json") for arm in ARMS)
    wrong = []
    failed = _failed(biased)
    if biased["verdict"] != "fail":
        wrong.append(f"the biased arm's verdict is {biased['verdict']}; expected fail")
    elif not any(PLANTED.items() <= group.items() for group in failed):
        wrong.append(f"the biased arm fails on {failed}; expected {_named(PLANTED)}")
    for arm, verdict in (("twin", twin), ("second site", second)):
        if verdict["verdict"] != "pass":
            wrong.append(f"the {arm}'s verdict is {verdict['verdict']}; expected pass")
    return wrong


def _wrong_months(folder: Path) -> list[str]:
    """Return what the monitor said that was not planted, in sentences."""
    questions = read_json(folder / ARMS[-1] / "monitor" / "monitoring.json")["questions"]
    rows = questions if isinstance(questions, list) else []
    alarms = [row for row in rows if isinstance(row, Mapping) and row["alarm"]]
    if not any(_about(row["subgroup"]) for row in alarms):
        return [f"the monitor raised no alarm for {_named(PLANTED)}"]
    early = sorted(str(row["alarm"]) for row in alarms if str(row["alarm"]) < DRIFT_SINCE)
    return [f"the monitor raised an alarm on {early[0]}, before the drift"] if early else []


def _about(subgroup: object) -> bool:
    return isinstance(subgroup, Mapping) and PLANTED.items() <= subgroup.items()


def _failed(verdict: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    """Return the groups whose contrasts or floors failed."""
    criteria = verdict["criteria"]
    return [
        part["subgroup"]
        for criterion in (criteria if isinstance(criteria, list) else [])
        for part in criterion["judgements"]
        if part["outcome"] == "fail"
    ]


def _named(group: Mapping[str, str]) -> str:
    return ", ".join(f"{attribute}={level}" for attribute, level in group.items())
