"""How long an audit in parts takes beside the same in memory, and how large its messages are.

python benchmarks/parts.py [IMAGES] [FINDINGS]
"""

import sys
import time

import numpy as np
import polars as pl

from equipoise import metrics
from equipoise.metrics import parts

LEVELS = {"sex": ["F", "M"], "age": ["0-39", "40-64", "65-79", "80+"]}
SITES = 3


def cohort(images: int, findings: int) -> pl.DataFrame:
    """Return rows of which each patient has two, in one of three sites."""
    rng = np.random.default_rng(0)
    patients = images // 2
    made: dict[str, object] = {
        "patient_id": np.repeat([f"p{one:07d}" for one in range(patients)], 2),
        "site": np.repeat(rng.integers(0, SITES, patients), 2),
    }
    for name, levels in LEVELS.items():
        made[name] = np.repeat(rng.choice(levels, patients), 2)
    for finding in range(findings):
        label = rng.random(images) < 0.15
        latent = rng.standard_normal(images) + label
        made[f"label:f{finding}"] = label
        made[f"score:f{finding}"] = (1.0 / (1.0 + np.exp(-latent))).astype(np.float32)
    return pl.DataFrame(made)


def main(images: int, findings: int) -> None:
    """Time both, and say how far apart they are."""
    rows = cohort(images, findings)
    names = tuple(f"f{finding}" for finding in range(findings))
    points = pl.DataFrame(
        {"finding": names, "operating_point": ["p"] * findings, "threshold": [0.6] * findings}
    )
    plan = metrics.Plan({}, tuple(metrics.METRICS), metrics.Minimum(), "made")
    table = metrics.subgroups(LEVELS)
    agreed = parts.Agreed(table, plan, names, points)
    everybody = metrics.population(rows, table, patient="patient_id", points=points)
    spent = {"in memory": time.process_time()}
    pooled = metrics.estimate(everybody, table, plan)
    spent["in memory"] = time.process_time() - spent["in memory"]
    people = {
        f"site-{site}": parts.population_of(mine, agreed, patient="patient_id")
        for (site,), mine in rows.partition_by("site", as_dict=True).items()
    }
    clock = time.process_time()
    told = {name: parts.packed(parts.first(one, agreed, name=name)) for name, one in people.items()}
    spent["count (all sites)"] = time.process_time() - clock
    clock = time.process_time()
    came = {name: parts.unpacked(data, agreed, name=name) for name, data in told.items()}
    merged = parts.merge(list(came.values()), agreed, disjoint_patients=True)
    spent["check and merge"] = time.process_time() - clock
    clock = time.process_time()
    seconds = {
        name: parts.packed(parts.moments_of(one, came[name], merged, agreed))
        for name, one in people.items()
    }
    spent["moments (all sites)"] = time.process_time() - clock
    clock = time.process_time()
    second = parts.sum_moments(
        [parts.unpacked_second(data, merged, agreed, name=name) for name, data in seconds.items()],
        merged,
    )
    spent["check and sum"] = time.process_time() - clock
    clock = time.process_time()
    found = parts.estimates_from(merged, second, agreed)
    spent["estimate"] = time.process_time() - clock
    rate = found.estimates["metric"] != "auroc"
    off = (found.estimates["value"] - pooled.estimates["value"]).abs()
    print(f"{images} images, {findings} findings, {table.height} subgroups, {SITES} sites")
    for name, seconds_spent in spent.items():
        print(f"  {name}: {seconds_spent:.2f} CPU s")
    print(f"  first message {len(told['site-0']) / 2**20:.2f} MiB, ", end="")
    print(f"second {len(seconds['site-0']) / 2**20:.2f} MiB")
    print(f"  furthest from in memory: {off.filter(rate).max():.1e}, ", end="")
    print(f"AUROC {off.filter(~rate).max():.1e} (bound {np.nanmax(parts.bounds(merged)):.1e})")


if __name__ == "__main__":
    main(*(int(argument) for argument in (sys.argv[1:] or ["100000", "1"])))
