"""Three phantom hospitals: their audit pooled, in the simulator, and between four processes."""

import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from equipoise import tables
from equipoise.cli.showing import table, talk
from equipoise.federate import Federation, declared, text
from equipoise.study.spending import measured

_BREAKS, _BANDS = (40.0, 65.0), ("0-39", "40-64", "65+")
_EXACT = 1e-12
_NUMBERS = ("value", "low", "high")


def demonstrate(out: Path, patients: int) -> int:
    """Run all three ways, print their times, and return 0 if they agree."""
    from equipoise.federate import analysing, processes
    from equipoise.federate.provisioning import provisioned
    from equipoise.federate.simulating import need_flare, simulated

    need_flare()
    study = _study()
    console = talk()
    console.print(f"drawing {patients} phantom patients of three hospitals")
    places = _hospitals(tables.make_folder(out / "hospitals"), patients)
    tables.write_text(out / "federation.yaml", text(study))
    rows = []
    with measured() as spent:
        whole = _pooled(study, places)
    rows.append(["pooled in one process", spent.wall_seconds, spent.cpu_seconds, None, None])
    console.print("simulated, nothing withheld: three sites as threads")
    open_study = study.model_copy(update={"minimum_cell": 1})
    with measured() as spent:
        found = simulated(open_study, places, out / "simulated", out / "simulated.work")
    apart = [_apart(whole, found)]
    rows.append(["simulator", spent.wall_seconds, spent.cpu_seconds, *_rounds(found)])
    console.print(
        "provisioned, fewer than 5 patients withheld: a server and three sites, mutual TLS on the "
        "loopback address",
        soft_wrap=True,
    )
    # Who ends us ends the deployment too: no process of it may stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    made = provisioned(study, places, out / f"deployment-{time.time_ns()}", ports=None)
    with processes.running(made):
        said = analysing.audited(made, study, out / "federated", sites=3, seconds=180)
        cpu = processes.cpu_seconds(made)
    found = out / "federated"
    apart.append(_apart(whole, found))
    rows.append(["four processes, TLS", _number(said["seconds"]), cpu, *_rounds(found)])
    _told(rows, apart)
    console.print(f"verdict of the demo's policy, pooled: [bold]{_verdict(whole)}[/]")
    estimates = tables.read(found / "estimates.parquet", tables.ESTIMATES)
    console.print(f"verdict of the demo's policy, federated: [bold]{_verdict(estimates)}[/]")
    console.print(f"results: {found.resolve()}", markup=False, soft_wrap=True)
    return 0 if max(apart) <= _EXACT else 1


def _study() -> Federation:
    from equipoise.phantoms import FINDING

    return declared(
        {
            "name": "three-hospitals",
            "sites": ["harbour", "meadow", "ridge"],
            "attributes": {
                "sex": ["F", "M", "unknown"],
                "age_band": [*_BANDS, "unknown"],
            },
            "references": {"sex": "M"},
            "findings": [FINDING],
            "candidate": "observer",
            "operating_points": {"screening": round(_squeezed(0.5), 6)},
            "intersections": 1,
            "minimum": {"positives": 20, "negatives": 20, "patients": 20},
            "minimum_cell": 5,
            "patients_disjoint": True,
            "codes_local": False,
            "timeouts": {"round": 90, "patience": 20},
        }
    )


def _squeezed(score: float) -> float:
    """Map the observer's score, 0 and above, to [0, 1) without changing any order."""
    return score / (1.0 + score)


def _hospitals(folder: Path, patients: int) -> dict[str, Path]:
    """Draw a bench with lesions less visible in women, and give each hospital its own rows."""
    from equipoise import phantoms

    options = phantoms.Options(
        patients=patients,
        seed=7,
        missing=phantoms.Missing(sex=0.06, age=0.06),
        biases=(phantoms.LowerVisibility(group={"sex": "F"}, factor=0.6),),
    )
    drawn = phantoms.scenes(options)
    score = phantoms.scores(phantoms.images(drawn, options))
    age = pl.col("age_years").cut(_BREAKS, labels=_BANDS, left_closed=True)
    cohort = phantoms.cohort(drawn, options).with_columns(
        age_band=age.cast(pl.String).fill_null("unknown")
    )
    made = cohort.with_columns(pl.Series("score", score / (1.0 + score), dtype=pl.Float32))
    places = {}
    for (site,), part in made.group_by("site", maintain_order=True):
        places[str(site)] = tables.make_folder(folder / str(site))
        tables.write(part.drop("score"), places[str(site)] / "cohort.parquet", tables.COHORT)
        scores = part.select("image_id", pl.col("score").alias(f"score:{phantoms.FINDING}"))
        tables.write(scores, places[str(site)] / "predictions.parquet", tables.PREDICTIONS)
    return places


def _pooled(study: Federation, places: Mapping[str, Path]) -> pl.DataFrame:
    """Return the estimates that the engine makes of all rows in one place."""
    from equipoise.federate.local import rows
    from equipoise.federate.sums import agreed
    from equipoise.metrics import parts

    frame = pl.concat([rows(path, study)[0] for path in places.values()])
    what = agreed(study)
    return parts.pooled(parts.population_of(frame, what, patient=study.patient), what).estimates


def _apart(whole: pl.DataFrame, found: Path) -> float:
    """Return the largest difference of any value or limit of a group that no site withheld."""
    key = ["finding", "operating_point", "metric", "level", "interval"]
    key += [name for name in whole.columns if name not in tables.ESTIMATES.columns]
    own = pl.col("contrast").is_null() & (pl.col("interval") == "pointwise")
    own &= pl.col("adjustment") == "crude"
    told = tables.read(found / "estimates.parquet", tables.ESTIMATES).filter(
        own, pl.col("value").is_not_null()
    )
    both = whole.filter(own).join(told, on=key, nulls_equal=True, suffix=":found")
    both = both.filter(pl.col("n_images") == pl.col("n_images:found"))
    apart = [(pl.col(name) - pl.col(f"{name}:found")).abs().max() for name in _NUMBERS]
    return max(_number(both.select(one).item()) for one in apart)


def _verdict(estimates: pl.DataFrame) -> str:
    from importlib import resources

    import yaml

    from equipoise import policies

    policy = resources.files("equipoise.study").joinpath("demo", "policy.yaml").read_text("utf-8")
    return policies.judge(estimates, policies.validated(yaml.safe_load(policy))).verdict.value


def _number(said: object) -> float:
    return float(said) if isinstance(said, int | float) else 0.0


def _rounds(found: Path) -> list[float | None]:
    rounds = tables.read_json(found / "spent.json")["rounds"]
    times = [_number(one["seconds"]) for one in rounds] if isinstance(rounds, list) else []
    return [times[0], sum(times[1:])] if times else [None, None]


def _told(rows: list[list[object]], apart: list[float]) -> None:
    names = ["way", "wall (s)", "CPU (s)", "counts (s)", "moments (s)"]
    shown = [[f"{cell:.2f}" if isinstance(cell, float) else cell for cell in row] for row in rows]
    frame = pl.DataFrame(shown, schema=dict.fromkeys(names, pl.String), orient="row")
    table(frame, "One audit, three ways", right=names[1:])
    talk().print(
        "largest difference from the pooled estimates, of groups that no site withheld: "
        f"{max(apart):.1e}",
        soft_wrap=True,
    )
