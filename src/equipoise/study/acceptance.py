"""The local acceptance test: embed, accept, audit, gate and report, as the bundle itself says.

The bundle brings its encoder, its audit plan and its policy; the hospital brings images and
labels. Nothing can be chosen here that would make the verdict kinder.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from equipoise import accept, bundles, evidence
from equipoise.errors import InvalidInput
from equipoise.scope import Scope
from equipoise.study.running import Outcome, Watch, execute, locked
from equipoise.study.stages import stage
from equipoise.tables import file_digest, make_folder, read_json

CACHE = ".cache"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of an acceptance test.

    Parameters
    ----------
    bundle
        What was tested.
    folder
        The run: a folder per stage, and evidence over them all.
    verdict
        As in ``gate/verdict.json``.
    sentence
        The outcome in a sentence for the hospital.
    """

    bundle: bundles.Bundle
    folder: Path
    verdict: Mapping[str, object]
    sentence: str

    @property
    def exit_code(self) -> int:
        """That of the gate."""
        code = self.verdict["exit_code"]
        return code if isinstance(code, int) else 1


def _unheard(folder: Path) -> None:
    del folder


def accepted(
    path: Path,
    cohort: Path,
    out: Path,
    *,
    on: date,
    options: Mapping[str, object] | None = None,
    workers: int = 1,
    watch: Watch | None = None,
    stated: Callable[[Path], None] = _unheard,
) -> Accepted:
    """Test a bundle on local data and return the verdict; all is kept in a folder.

    Parameters
    ----------
    path
        The bundle, a folder or a zip.
    cohort
        The folder of an ingest stage, or a run that holds one.
    out
        Folder of this run.
    on
        Today: an override of the bundle may have expired.
    options
        More options of the stage *accept*, as draws and seed.
    workers
        Processes or threads that may work.
    watch
        Who is told how it goes.
    stated
        Called with the folder of the stage *accept* once power and shift stand there, before the
        audit begins.

    Raises
    ------
    Refused
        If the bundle may not be used, or was made from this very cohort.
    EquipoiseError
        As the stages do.

    Examples
    --------
    See ``equipoise accept`` and the tests: it takes a bundle and a cohort.

    >>> accepted(Path("nowhere"), Path(), Path("out"), on=date(2030, 1, 1))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere: no such bundle; expected a folder or a zip
    """
    told = watch or Watch()
    scope = Scope(cache=out / CACHE, workers=workers)
    bundle = bundles.opened(path, scope)
    bundles.check_usable(bundle, on=on)
    local = cohort_in(cohort)
    accept.ready(bundle, local, local)  # before anything is embedded
    make_folder(out)
    # Without an override the day changes nothing, and the test of yesterday still stands.
    today = {} if bundle.override is None else {"today": on}
    more = {**(options or {}), "bundle": str(path), **today}
    with locked(out):
        for kind, said, inputs in _steps(bundle, local, out, more):
            _executed(kind, said, inputs, (out, scope, told))
            if kind == "accept":
                stated(out / kind)
        _seal(bundle, out)
    verdict = read_json(out / "gate" / "verdict.json")
    return Accepted(bundle, out, verdict, sentence(verdict, bundle))


def cohort_in(folder: Path) -> Path:
    """Return the folder of an ingest stage: the one given, or the only one in a run.

    Raises
    ------
    InvalidInput
        If there is none, or several.

    Examples
    --------
    >>> cohort_in(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere: no cohort.parquet with images.npy in it or one below
    """
    if _is_cohort(folder):
        return folder
    found = sorted(p.parent for p in folder.glob("*/cohort.parquet") if _is_cohort(p.parent))
    if len(found) != 1:
        several = f"; found {', '.join(p.name for p in found)}" if found else ""
        raise InvalidInput(
            f"{folder}: no cohort.parquet with images.npy in it or one below{several}",
            hint="give the folder of the ingest stage: 'equipoise ingest' makes one",
        )
    return found[0]


def _is_cohort(folder: Path) -> bool:
    names = ("cohort.parquet", "images.npy", "images.parquet")
    return all((folder / name).is_file() for name in names)


Step = tuple[str, Mapping[str, object], Mapping[str, Path]]


def _steps(
    bundle: bundles.Bundle, local: Path, out: Path, more: Mapping[str, object]
) -> Iterator[Step]:
    """Yield each stage with its options and what it is given."""
    data = {"cohort": local, "images": local}
    own = read_json(bundle.folder / "encoder" / "encoder.json")
    yield "embed", {"encoder": own["encoder"], "parameters": _placed(own, bundle)}, data
    yield "accept", more, {**data, "embeddings": out / "embed"}
    plan = bundle.audit
    audit = {
        "attributes": {name: list(levels) for name, levels in plan.attributes.items()},
        "references": dict(plan.references),
        "intersections": plan.intersections,
        "metrics": list(plan.metrics),
        "minimum": plan.minimum.model_dump(),
        "seed": plan.seed,
    }
    yield "audit", audit, {"cohort": local, "predictions": out / "accept"}
    policy = {"policy": read_json(bundle.folder / "policy.json")}
    yield "gate", policy, {"estimates": out / "audit"}
    report = {
        "title": f"Local acceptance of {bundle.name}",
        "intended_use": _use(bundle),
    }
    everything = {
        "cohort": local,
        "embeddings": out / "embed",
        "predictions": out / "accept",
        "acceptance": out / "accept",
        "estimates": out / "audit",
        "verdict": out / "gate",
    }
    yield "report", report, {k: v for k, v in everything.items() if k in _report_takes()}


def _use(bundle: bundles.Bundle) -> str:
    """Return the intended use, and before it, where the first page shows it, any override."""
    given = bundle.override
    if given is None:
        return bundle.manifest.intended_use
    return (
        f"RELEASED BY OVERRIDE, not by a pass: {given.name} answers for it until {given.expires} "
        f"({given.reason}). {bundle.manifest.intended_use}"
    )


def _report_takes() -> tuple[str, ...]:
    found = stage("report")
    return (*found.needs, *found.wants)


def _placed(own: Mapping[str, object], bundle: bundles.Bundle) -> dict[str, object]:
    """Return the encoder's parameters with its files where the bundle lies."""
    parameters = own["parameters"]
    given = dict(parameters) if isinstance(parameters, dict) else {}
    folder = bundle.folder.resolve() / "encoder"
    return {k: str(folder / str(v)) if k in {"path", "card"} else v for k, v in given.items()}


def _executed(
    kind: str,
    said: Mapping[str, object],
    inputs: Mapping[str, Path],
    around: tuple[Path, Scope, Watch],
) -> Outcome:
    out, scope, watch = around
    found = stage(kind)
    watch.started(kind)
    scope = Scope(
        cache=scope.cache,
        workers=scope.workers,
        progress=lambda what, done, total: watch.progress(kind, what, done, total),
    )
    options = found.options.model_validate(dict(said))
    outcome = execute(found, options, inputs, out / kind, scope)
    watch.ended(outcome)
    return outcome


def _seal(bundle: bundles.Bundle, out: Path) -> None:
    """Leave the run's own evidence, which names that of every stage and the bundle."""
    from equipoise import __version__

    kinds = ("embed", "accept", "audit", "gate", "report")
    override = bundle.override
    said = evidence.statement(
        "acceptance",
        subject={
            f"{kind}/{evidence.EVIDENCE_FILE}": file_digest(out / kind / evidence.EVIDENCE_FILE)
            for kind in kinds
        },
        inputs={"bundle": bundle.digest},
        parameters={"name": bundle.name},
        result={
            "stages": list(kinds),
            "verdict": read_json(out / "gate" / "verdict.json")["verdict"],
            "override": None if override is None else override.model_dump(mode="json"),
        },
        code={"equipoise": __version__},
    )
    evidence.write_statement(out, said)


def sentence(verdict: Mapping[str, object], bundle: bundles.Bundle) -> str:
    """Return the outcome in a sentence that says what may be done.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(name="demo", override=None)
    >>> sentence({"verdict": "fail", "reason": "women are missed"}, model)
    "refused: 'demo' fails here and must not be used on these patients (women are missed)"
    """
    reason, name = verdict.get("reason"), bundle.name
    said = {
        "pass": f"accepted: '{name}' passes here by its own policy ({reason})",
        "fail": f"refused: '{name}' fails here and must not be used on these patients ({reason})",
    }.get(
        str(verdict["verdict"]),
        f"not decided: '{name}' has not been shown to be safe here, nor unsafe "
        f"({verdict['verdict']}: {reason})",
    )
    if bundle.override is not None:
        said += (
            f". It was released without a pass, by an override of {bundle.override.name} until "
            f"{bundle.override.expires}: {bundle.override.reason}"
        )
    return said
