"""What a user could pick instead: each peer's own way to the same 50 groups, run in its own venv.

    python alternatives.py NAME DATA.npz RUNS

prints JSON: CPU seconds of each run (user and system, imports and reading excluded), peak memory,
versions, and AUROC, TPR, FPR and PPV by group, with null where the peer has none.
"""

import importlib.metadata
import itertools
import json
import resource
import sys
import time

import numpy as np

NAMES = ("sex", "age", "race")
SETS = [(), *itertools.chain(*(itertools.combinations(NAMES, k) for k in (1, 2)))]
THRESHOLD = 0.5


def keyed(names, levels):
    """Return the key of a group."""
    return "&".join(f"{name}={level}" for name, level in zip(names, levels, strict=True))


def combined(data, names):
    """Return the key of the group of each row, and all keys."""
    code = np.zeros(len(data["label"]), dtype=np.int64)
    keys = [""]
    for name in names:
        levels = int(data[name].max()) + 1
        code = code * levels + data[name]
        keys = [f"{key}&{name}={level}".strip("&") for key in keys for level in range(levels)]
    return code, np.array(keys)


def frame_of(data):
    """Return the rows as pandas has them, with an attribute per set of attributes."""
    import pandas as pd

    columns = {"label": data["label"].astype(int), "score": data["score"]}
    for names in SETS[1:]:
        code, keys = combined(data, names)
        columns["&".join(names)] = pd.Categorical.from_codes(code, keys)
    return pd.DataFrame(columns)


def scikit_learn(data):
    """Loop over groups with a mask each."""
    from sklearn.metrics import confusion_matrix, roc_auc_score

    label, score = data["label"], data["score"]
    called = score >= THRESHOLD
    found = {}
    for names in SETS:
        code, keys = combined(data, names)
        for level, key in enumerate(keys):
            mine = code == level
            tn, fp, fn, tp = confusion_matrix(
                label[mine], called[mine], labels=[False, True]
            ).ravel()
            area = roc_auc_score(label[mine], score[mine])
            found[key] = area, tp / (tp + fn), fp / (fp + tn), tp / (tp + fp)
    return found


def fairlearn(data):
    """Make a MetricFrame per set of attributes, points alone."""
    import pandas as pd
    from fairlearn.metrics import MetricFrame, false_positive_rate, true_positive_rate
    from sklearn.metrics import precision_score, roc_auc_score

    label, score = data["label"].astype(int), data["score"]
    called = (score >= THRESHOLD).astype(int)
    attributes = pd.DataFrame({name: data[name] for name in NAMES})
    rates = {"tpr": true_positive_rate, "fpr": false_positive_rate, "ppv": precision_score}
    found = {}
    for names in SETS[1:]:
        mine = attributes[list(names)]
        area = MetricFrame(
            metrics={"auroc": roc_auc_score}, y_true=label, y_pred=score, sensitive_features=mine
        )
        rest = MetricFrame(metrics=rates, y_true=label, y_pred=called, sensitive_features=mine)
        both = area.by_group.join(rest.by_group)
        for levels, row in zip(both.index, both.itertuples(index=False), strict=True):
            found[keyed(names, levels if isinstance(levels, tuple) else (levels,))] = tuple(row)
        found[""] = (*area.overall, *rest.overall)
    return found


def fairlearn_bootstrap(data):
    """Do the same with 20 of Fairlearn's own bootstrap replicates: over rows, not patients."""
    import pandas as pd
    from fairlearn.metrics import MetricFrame, false_positive_rate, true_positive_rate
    from sklearn.metrics import precision_score, roc_auc_score

    label, score = data["label"].astype(int), data["score"]
    attributes = pd.DataFrame({name: data[name] for name in NAMES})
    metrics = {
        "auroc": roc_auc_score,
        "tpr": lambda y, s: true_positive_rate(y, s >= THRESHOLD, pos_label=1),
        "fpr": lambda y, s: false_positive_rate(y, s >= THRESHOLD, pos_label=1),
        "ppv": lambda y, s: precision_score(y, s >= THRESHOLD),
    }
    for names in SETS[1:]:
        MetricFrame(
            metrics=metrics,
            y_true=label,
            y_pred=score,
            sensitive_features=attributes[list(names)],
            n_boot=20,
            ci_quantiles=[0.025, 0.975],
            random_state=0,
        )
    return {}


def aequitas(data):
    """Make one crosstab of all attributes and of their pairs, made by hand; it has no AUROC."""
    from aequitas.group import Group

    frame = frame_of(data).rename(columns={"label": "label_value"})
    columns = ["&".join(names) for names in SETS[1:]]
    frame[columns] = frame[columns].astype(str)
    table, _ = Group().get_crosstabs(
        frame, score_thresholds={"score_val": [THRESHOLD]}, attr_cols=columns
    )
    return {
        row.attribute_value: (None, row.tpr, row.fpr, row.precision) for row in table.itertuples()
    }


def aif360(data):
    """Make a ClassificationMetric per group; it has no AUROC."""
    import pandas as pd
    from aif360.datasets import BinaryLabelDataset
    from aif360.metrics import ClassificationMetric

    frame = pd.DataFrame({name: data[name].astype(float) for name in NAMES})
    frame["label"] = data["label"].astype(float)
    true = BinaryLabelDataset(
        df=frame, label_names=["label"], protected_attribute_names=list(NAMES)
    )
    called = true.copy(deepcopy=False)
    called.labels = (data["score"] >= THRESHOLD).astype(float).reshape(-1, 1)
    found = {}
    for names in SETS:
        sizes = [range(int(data[name].max()) + 1) for name in names]
        for levels in itertools.product(*sizes):
            group = [dict(zip(names, map(float, levels), strict=True))]
            mine = ClassificationMetric(true, called, unprivileged_groups=group or None)
            of = False if names else None
            found[keyed(names, levels)] = (
                None,
                mine.true_positive_rate(privileged=of),
                mine.false_positive_rate(privileged=of),
                mine.positive_predictive_value(privileged=of),
            )
    return found


def oxonfair(data):
    """Call its group metrics per set of attributes; its AUROC is scikit-learn's, by mask."""
    from oxonfair.utils import group_metrics as gm

    label, score = data["label"].astype(int), data["score"]
    called = (score >= THRESHOLD).astype(int)
    found = {}
    for names in SETS:
        code, keys = combined(data, names)
        rates = [
            np.asarray(one.per_group(label, called, code)).reshape(-1)
            for one in (gm.true_pos_rate, gm.false_pos_rate, gm.pos_pred_val)
        ]
        areas = [
            gm.roc_auc(label[code == level], score[code == level]) for level in range(len(keys))
        ]
        found |= dict(zip(keys, zip(areas, *rates, strict=True), strict=True))
    return found


def fairmedfm(data):
    """Evaluate attributes and pairs as columns; its rates are at max-F1 of the audited data."""
    import fairmedfm as fm
    import pandas as pd

    attributes = frame_of(data)[["&".join(names) for names in SETS[1:]]].astype(str)
    report = fm.evaluate(data["label"].astype(int), pd.Series(data["score"]), attributes)
    found = {key: (row["auc"], None, None, None) for (_, key), row in report.by_group.iterrows()}
    return {**found, "": (report.overall["auc"], None, None, None)}


def expert(data):
    """Rank within groups in polars: DeLong on the logit scale, and Wilson."""
    import polars as pl

    z = 1.959963984540054
    frame = pl.DataFrame(dict(data)).with_columns(called=pl.col("score") >= THRESHOLD)
    # Ranks of equal codes are ranks of the scores, and small whole numbers sort faster.
    frame = frame.with_columns(place=pl.col("score").rank("dense"))
    found = {}
    for names in SETS:
        by = list(names)
        rank = pl.col("place").rank("average")
        ranked = frame.select(
            *by,
            "label",
            "called",
            among_all=rank.over(by) if by else rank,
            among_own=rank.over([*by, "label"]),
        )
        label, called = pl.col("label"), pl.col("called")
        above = pl.col("among_all") - pl.col("among_own")
        aggregates = [
            label.sum().cast(pl.Float64).alias("p"),
            (~label).sum().cast(pl.Float64).alias("n"),
            (label & called).sum().cast(pl.Float64).alias("tp"),
            (~label & called).sum().cast(pl.Float64).alias("fp"),
            above.filter(label).mean().alias("mean"),
            above.filter(label).var().alias("var_p"),
            above.filter(~label).var().alias("var_n"),
        ]
        table = ranked.group_by(by).agg(aggregates) if by else ranked.select(aggregates)
        p, n = pl.col("p"), pl.col("n")
        table = table.with_columns(auroc=pl.col("mean") / n).with_columns(
            se=(pl.col("var_p") / n**2 / p + pl.col("var_n") / p**2 / n).sqrt()
        )
        area = pl.col("auroc")
        half = z * pl.col("se") / (area * (1 - area))
        logit = (area / (1 - area)).log()
        table = table.with_columns(
            low=1 / (1 + (half - logit).exp()),
            high=1 / (1 + (-half - logit).exp()),
            **{
                f"{name}_{end}": wilson(hits, of, sign * z)
                for name, hits, of in (
                    ("tpr", "tp", p),
                    ("fpr", "fp", n),
                    ("ppv", "tp", pl.col("tp") + pl.col("fp")),
                )
                for end, sign in (("low", -1), ("high", 1))
            },
        )
        for row in table.iter_rows(named=True):
            found[keyed(names, [row[name] for name in names])] = (
                row["auroc"],
                row["tp"] / row["p"],
                row["fp"] / row["n"],
                row["tp"] / (row["tp"] + row["fp"]),
            )
    return found


def wilson(hits, trials, z):
    """Return one limit of Wilson's interval as an expression of polars."""
    import polars as pl

    share = pl.col(hits) / trials
    spread = z * (share * (1 - share) / trials + z**2 / (4 * trials**2)).sqrt()
    return (share + z**2 / (2 * trials) + spread) / (1 + z**2 / trials)


def equipoise(data):
    """Audit with clustered pointwise and simultaneous intervals, and contrasts."""
    import polars as pl

    from equipoise import audit
    from equipoise.metrics import METRICS

    levels = {name: [str(level) for level in range(int(data[name].max()) + 1)] for name in NAMES}
    texts = {
        name: pl.Series(np.array(some))[data[name].astype(np.int64)].cast(pl.Enum(some))
        for name, some in levels.items()
    }
    frame = pl.DataFrame(
        {**{name: data[name] for name in ("patient_id", "label", "score")}, **texts}
    )
    missed = "false_positive_rate" if "false_positive_rate" in METRICS else "specificity"
    names = ["auroc", "sensitivity", missed, "ppv"]
    options = audit.Options(metrics=names)
    TIMER.restart()
    table = audit.estimates(frame, by=levels, operating_points={"p": THRESHOLD}, options=options)
    TIMER.stop()
    own = table.filter(
        pl.col("contrast").is_null(), interval="pointwise", level=0.95, adjustment="crude"
    ).select(*NAMES, "metric", "value")
    found = {}
    for *where, metric, value in own.iter_rows():
        mine = [
            (name, level) for name, level in zip(NAMES, where, strict=True) if level is not None
        ]
        key = keyed([name for name, _ in mine], [level for _, level in mine])
        found.setdefault(key, dict.fromkeys(names))[metric] = value
        if metric == "specificity" and value is not None:
            found[key][metric] = 1 - value
    return {key: tuple(values.values()) for key, values in found.items()}


class Timer:
    """CPU seconds of a run, which may leave out what comes before and after."""

    def restart(self):
        """Begin here."""
        self.end, self.begin = None, time.process_time()

    def stop(self):
        """End here."""
        self.end = time.process_time()

    def seconds(self):
        """Return the CPU seconds between."""
        return (self.end or time.process_time()) - self.begin


TIMER = Timer()

WAYS = {
    "equipoise": (equipoise, ("numpy", "polars", "scipy")),
    "expert": (expert, ("polars",)),
    "scikit-learn": (scikit_learn, ("scikit-learn",)),
    "fairlearn": (fairlearn, ("fairlearn", "scikit-learn")),
    "fairlearn-bootstrap": (fairlearn_bootstrap, ("fairlearn", "scikit-learn")),
    "aequitas": (aequitas, ("aequitas", "pandas")),
    "aif360": (aif360, ("aif360", "pandas")),
    "oxonfair": (oxonfair, ("oxonfair", "scikit-learn")),
    "fairmedfm": (fairmedfm, ("fairmedfm", "scikit-learn")),
}


def main(name, path, runs):
    """Run one way and print what it took."""
    import warnings

    warnings.simplefilter("ignore")
    way, packages = WAYS[name]
    with np.load(path) as file:
        data = {key: file[key] for key in file.files}
    few = {key: column[:2000] for key, column in data.items()}
    way(few)  # imports, and what is compiled or made once
    spent = []
    for _ in range(runs):
        TIMER.restart()
        found = way(data)
        spent.append(TIMER.seconds())
    plain = {
        key: [None if value is None else float(value) for value in values]
        for key, values in found.items()
    }
    said = {
        "cpu": spent,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "values": plain,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
