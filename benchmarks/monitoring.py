"""False alarms and delays of the monitor on phantoms, printed as tables.

Run as ``python benchmarks/monitoring.py [seeds]``. A fixed model (the observer of the phantoms)
reads drawn radiographs of 64 pixels, 200 a month over 24 months, half of each sex; labels come
after 30 days on average and for one case in ten never. In one arm nothing changes; in the others
the scanner of sex F gets noisier in month 7. Everything but the images goes through the stage's own
`watch`: questions of a policy, patients, blocks, bets, closed testing, CUSUM.

Arms with a change take a quarter of the seeds. A median delay is over all of them: who never
alarmed after the change counts as later than all who did. A CUSUM delay is that of the first
chart, of any group, whose first warning came after the change. *naive z* is a two-sided test of no
difference at 5 %, for sensitivity and for specificity, on all labels so far, looked at each month.

A pool of images is rendered once for each sex, label and state of the scanner, and months are drawn
from it with replacement; the rows marked *rendered* render each image of each seed anew. A row
marked *boundary* is of coins whose specificity lies exactly the tolerance below in sex F: the worst
that is no alarm.
"""

import sys
import time
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import polars as pl

from equipoise import bundles, phantoms, policies, surveillance
from equipoise.metrics.intervals import wilson
from equipoise.monitor import Options
from equipoise.monitor.questions import asked
from equipoise.monitor.watching import watch

MONTHS, A_MONTH, FROM = 24, 200, 7
POOL, RENDERED = 5_000, 6
TOLERANCE, LEVEL = 0.05, 0.05
STRENGTHS = (1.5, 2.0, 2.5, 3.0)
"""Factors on the noise of the scanner."""

POLICY = policies.validated(
    {
        "version": 1,
        "name": "benchmark",
        "criteria": [
            {"name": f"{m} alike", "metric": m, "attributes": ["sex"], "tolerance": TOLERANCE}
            for m in ("sensitivity", "specificity")
        ],
        "floors": [
            {"name": f"{m} for all", "metric": m, "attributes": ["sex"], "minimum": least}
            for m, least in (("sensitivity", 0.75), ("specificity", 0.60))
        ],
    }
)
Pool = dict[tuple[str, bool], np.ndarray]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one seed gave; delays in cases of sex F after the change, None = never."""

    alarm: bool
    before: bool
    delay: int | None
    labelled: int | None
    chart: bool
    chart_delay: int | None
    naive: bool


def bench(strength: float, *, patients: int, seed: int, drifted_from: int) -> phantoms.Options:
    """Return a bench of one site whose scanner gets noisier for sex F."""
    drift = phantoms.ScannerDrift(from_month=drifted_from, group={"sex": "F"}, noise=strength)
    return phantoms.Options(
        patients=patients,
        seed=seed,
        size=64,
        months=MONTHS,
        sites=(phantoms.Site(name="harbour"),),
        images_per_patient=phantoms.ImagesPerPatient(mean=1.0, max=1),
        missing=phantoms.Missing(sex=0, age=0, view=0, label=0),
        biases=(drift,) if strength > 1.0 else (),
    )


def pool(strength: float) -> Pool:
    """Return the scores of many rendered images by sex and label, the drift present in all."""
    options = bench(strength, patients=POOL, seed=77, drifted_from=1)
    table = phantoms.scenes(options)
    scores = phantoms.scores(phantoms.images(table, options))
    sex, label = table["sex"].to_numpy(), table["clean"].to_numpy()
    return {(s, y): scores[(sex == s) & (label == y)] for s in "FM" for y in (True, False)}


def rate(scores: np.ndarray, *, positive: bool) -> float:
    """Return the share that the observer calls rightly."""
    return float(((scores >= phantoms.THRESHOLD) == positive).mean())


def model(before: Pool) -> bundles.Bundle:
    """Return what the monitor asks of a bundle: policy, groups, operating point, reference."""
    rows = []
    for name, positive in (("sensitivity", True), ("specificity", False)):
        whole = np.concatenate([before["F", positive], before["M", positive]])
        groups = {"F": before["F", positive], "M": before["M", positive], None: whole}
        rows += [
            {"metric": name, "sex": sex, "value": rate(scores, positive=positive)}
            for sex, scores in groups.items()
        ]
    estimates = pl.DataFrame(rows).with_columns(
        contrast=pl.lit(None, dtype=pl.String),
        finding=pl.lit(phantoms.FINDING),
        operating_point=pl.lit("locked"),
    )
    points = {
        "finding": [phantoms.FINDING],
        "operating_point": ["locked"],
        "threshold": [phantoms.THRESHOLD],
    }
    return SimpleNamespace(  # type: ignore[return-value]
        policy=POLICY,
        findings=(phantoms.FINDING,),
        audit=bundles.AuditPlan(attributes={"sex": ["F", "M", "unknown"]}),
        operating_points=pl.DataFrame(points),
        reference=SimpleNamespace(estimates=estimates),
    )


def drawn(before: Pool, after: Pool, rng: np.random.Generator) -> pl.DataFrame:
    """Return the cases of 24 months, drawn from pools with replacement."""
    n = MONTHS * A_MONTH
    sex = np.where(rng.random(n) < 0.5, "F", "M")
    label = rng.random(n) < 0.4
    month = np.arange(n) // A_MONTH + 1
    scores = np.empty(n)
    for which, late in ((before, False), (after, True)):
        for s in "FM":
            for y in (True, False):
                mine = (sex == s) & (label == y) & ((month >= FROM) == late)
                scores[mine] = rng.choice(which[s, y], int(mine.sum()))
    return cases(sex, label, month, scores, rng)


def rendered(strength: float, seed: int) -> pl.DataFrame:
    """Return the cases of 24 months, each image drawn and read."""
    options = bench(strength, patients=MONTHS * A_MONTH, seed=seed, drifted_from=FROM)
    table = phantoms.scenes(options).sort("acquired_on", "image_id")
    scores = phantoms.scores(phantoms.images(table, options))
    columns = [table[name].to_numpy() for name in ("sex", "clean", "month")]
    return cases(*columns, scores, np.random.default_rng(seed))


def cases(
    sex: np.ndarray,
    label: np.ndarray,
    month: np.ndarray,
    scores: np.ndarray,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return cases with the labels that came: late, and one in ten never."""
    n = len(sex)
    day = np.sort((month - 1) * 30.4 + rng.random(n) * 30.4)
    order = np.argsort(month, kind="stable")
    start = np.datetime64("2026-01-01", "us")
    at = start + (day * 86_400e6).astype("timedelta64[us]")
    came = at + (rng.exponential(30.0, n) * 86_400e6).astype("timedelta64[us]")
    end = start + np.timedelta64(int(MONTHS * 30.4), "D")
    known = (rng.random(n) >= 0.1) & (came <= end)
    frame = pl.DataFrame(
        {
            "case_id": [f"{k:06d}" for k in range(n)],
            "patient_key": [f"{k:06d}" for k in range(n)],
            "at": pl.Series(at).dt.replace_time_zone("UTC"),
            "labelled_at": pl.Series(came).dt.replace_time_zone("UTC"),
            "period": [f"{m:02d}" for m in month[order]],
            "outcome": "scored",
            "sex": sex[order],
            f"score:{phantoms.FINDING}": scores[order],
            f"label:{phantoms.FINDING}": label[order],
        }
    )
    hidden = [pl.when(pl.Series(known)).then(pl.col(c)) for c in ("labelled_at", frame.columns[-1])]
    return frame.with_columns(hidden)


def outcome(frame: pl.DataFrame, bundle: bundles.Bundle, seed: int) -> Outcome:
    """Return what the monitor and its rivals make of one seed."""
    options = Options(bundle="-", level=LEVEL, seed=seed)
    recent = [f"{m:02d}" for m in range(MONTHS - 5, MONTHS + 1)]
    found = watch(frame, asked(bundle).questions, bundle, options, recent)
    change = np.datetime64(str(frame.filter(pl.col("period") == f"{FROM:02d}")["at"].min())[:10])
    alarms = [one.alarm for one in found.watched if one.alarm is not None]
    first = min(alarms) if alarms else None
    charts = [chart.warned for chart in found.charts if chart.warned is not None]
    warned = [day for day in charts if day >= change]
    return Outcome(
        alarm=first is not None,
        before=first is not None and first < change,
        delay=_cases(frame, change, first, "at"),
        labelled=_cases(frame, change, first, "labelled_at"),
        chart=bool(charts),
        chart_delay=_cases(frame, change, min(warned) if warned else None, "at"),
        naive=naive(frame),
    )


def _cases(
    frame: pl.DataFrame, change: np.datetime64, day: np.datetime64 | None, column: str
) -> int | None:
    """Return how many cases of sex F came (or had their label come) from the change to a day."""
    if day is None or day < change:
        return None
    late = frame.filter((pl.col("sex") == "F") & (pl.col("at").dt.date() >= pl.lit(change.item())))
    days = late[column].drop_nulls().dt.date().to_numpy().astype("datetime64[D]")
    return int((days <= day).sum())


def naive(frame: pl.DataFrame) -> bool:
    """Return whether a z-test of no difference, looked at each month, was ever significant."""
    known = frame.filter(pl.col("labelled_at").is_not_null()).sort("labelled_at")
    right = (known[f"score:{phantoms.FINDING}"] >= phantoms.THRESHOLD) == known[
        f"label:{phantoms.FINDING}"
    ]
    sex, label = known["sex"].to_numpy(), known[f"label:{phantoms.FINDING}"].to_numpy()
    ends = np.unique(known["labelled_at"].dt.strftime("%Y-%m").to_numpy(), return_index=True)[1]
    for end in [*ends[1:], len(known)]:
        for y in (True, False):
            arms = [right.to_numpy()[:end][(sex[:end] == s) & (label[:end] == y)] for s in "FM"]
            if min(map(len, arms)) >= 30 and abs(_z(*arms)) > 1.96:
                return True
    return False


def _z(one: np.ndarray, two: np.ndarray) -> float:
    variance = sum(a.mean() * (1 - a.mean()) / len(a) for a in (one, two))
    return float((one.mean() - two.mean()) / np.sqrt(max(variance, 1e-12)))


def boundary(before: Pool, rng: np.random.Generator) -> tuple[Pool, Pool]:
    """Return coins as a pool: specificity of sex F exactly the tolerance below, from the start."""
    found: Pool = {}
    for y in (True, False):
        p = rate(np.concatenate([before["F", y], before["M", y]]), positive=y)
        for s in "FM":
            right = p - (TOLERANCE if s == "F" and not y else 0.0)
            hits = rng.permutation(np.arange(100_000) < right * 100_000)
            found[s, y] = np.where(hits == y, 1.0, 0.0)
    return found, found


def median(delays: list[int | None]) -> str:
    """Return the median over all seeds; who never alarmed counts as later than all who did."""
    middle = float(np.median([np.inf if delay is None else delay for delay in delays]))
    return f"{middle:.0f}" if np.isfinite(middle) else "not within the months"


def row(name: str, seeds: list[Outcome], *, drift: bool) -> str:
    """Return one line of the table."""
    n = len(seeds)
    alarms = sum(one.alarm for one in seeds)
    low, high = wilson(np.array([alarms / n]), np.array([float(n)]), 1.96)
    told = [name, str(n), f"{alarms} ({low[0]:.1%}–{high[0]:.1%})"]
    told.append(str(sum(one.before for one in seeds)) if drift else "–")
    for values in (
        [one.delay for one in seeds],
        [one.labelled for one in seeds],
    ):
        told.append(median(values) if drift else "–")
    told.append(f"{sum(one.chart for one in seeds)}")
    told.append(median([one.chart_delay for one in seeds]) if drift else "–")
    told.append(f"{sum(one.naive for one in seeds)}")
    return "| " + " | ".join(told) + " |"


def single(gains: np.ndarray) -> np.ndarray:
    """Return the log wealth of one bettor who bets what its whole past says, at most half."""
    total, squares, wealth, path = 0.0, 0.25, 0.0, []
    for gain in gains.tolist():
        wealth += np.log1p(min(max(total / squares, 0.0), 0.5) * gain)
        total, squares = total + gain, squares + gain * gain
        path.append(wealth)
    return np.array(path)


def power(rng: np.random.Generator, repeats: int = 200) -> list[str]:
    """Return positives per group to an alarm at 20, of pairs, beside one bettor's."""
    lines = ["| gap | five gamblers | one bettor | after 400 good pairs, five | one |"]
    lines.append("|---|---|---|---|---|")
    for gap in (0.10, 0.15, 0.25):
        told = [f"{gap:.2f}"]
        for good in (0, 400):
            hits: dict[str, list[float]] = {"five": [], "one": []}
            for _ in range(repeats):
                n = good + 2000
                low = (rng.random(n) < np.where(np.arange(n) < good, 0.9, 0.9 - gap)).astype(float)
                high = (rng.random(n) < 0.9).astype(float)
                gains = surveillance.gap_gains(low, high, 0.02)
                for who, path in (("five", surveillance.log_wealth(gains)), ("one", single(gains))):
                    over = np.flatnonzero(path >= np.log(20.0))
                    late = over[over >= good]
                    hits[who].append(float(late[0] + 1 - good) if len(late) else np.inf)
            told += [f"{np.median(hits[who]):.0f}" for who in ("five", "one")]
        lines.append("| " + " | ".join(told) + " |")
    return lines


def main() -> None:
    """Print all tables."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    start = time.process_time()
    print("\n".join(power(np.random.default_rng(1))), "\n", flush=True)
    pools = {strength: pool(strength) for strength in (1.0, *STRENGTHS)}
    before = pools[1.0]
    bundle = model(before)
    for strength, one in pools.items():
        told = ", ".join(
            f"{s} {rate(one[s, True], positive=True):.3f}/{rate(one[s, False], positive=False):.3f}"
            for s in "FM"
        )
        print(f"noise × {strength:g}: sensitivity/specificity {told}", flush=True)
    print(
        "\n| arm | seeds | alarm (95 % interval) | before the change | median delay (cases of F) "
        "| median delay (labels of F) | CUSUM warned | CUSUM delay (cases of F) | naive z |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for strength in (1.0, *STRENGTHS):
        made = [
            outcome(drawn(before, pools[strength], np.random.default_rng((9, s))), bundle, s)
            for s in range(seeds if strength == 1.0 else max(seeds // 4, 1))
        ]
        name = "no change" if strength == 1.0 else f"noise × {strength:g} from month {FROM}"
        print(row(name, made, drift=strength > 1.0), flush=True)
    coins = boundary(before, np.random.default_rng(3))
    made = [outcome(drawn(*coins, np.random.default_rng((10, s))), bundle, s) for s in range(seeds)]
    print(row("boundary", made, drift=False), flush=True)
    for strength in (1.0, 3.0):
        made = [outcome(rendered(strength, 500 + s), bundle, s) for s in range(RENDERED)]
        name = "no change" if strength == 1.0 else f"noise × {strength:g} from month {FROM}"
        print(row(f"{name}, rendered", made, drift=strength > 1.0), flush=True)
    print(f"\nCPU {time.process_time() - start:.0f} s")


if __name__ == "__main__":
    main()
