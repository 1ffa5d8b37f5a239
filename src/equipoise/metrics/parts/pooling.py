"""The pooled counterpart: what the parts must equal, when all rows lie in one place."""

from dataclasses import replace

from equipoise.metrics.counts import count
from equipoise.metrics.estimates import Estimated, answered, answers
from equipoise.metrics.groups import levels_of
from equipoise.metrics.moments import moments
from equipoise.metrics.numbers import Question
from equipoise.metrics.parts.agreements import Agreed, compared_in
from equipoise.metrics.parts.counting import check_asked
from equipoise.metrics.parts.grid import on_grid
from equipoise.metrics.rows import Sheet
from equipoise.metrics.samples import Population


def pooled(people: Population, agreed: Agreed) -> Estimated:
    """Return what `metrics.estimate` makes of all rows, AUROC of scores at the bins' centres.

    By the very functions of the engine in memory, not by those that count in parts: to hold a
    federated audit against it where the rows may be brought together, as in a test.

    Parameters
    ----------
    people
        All predictions.
    agreed
        What is counted; its minimum cell and number of contributors do not matter here.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import Rules, population_of
    >>> plan = Plan({}, ("auroc",), Minimum(positives=2, negatives=2, patients=2), "probe")
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), plan, ("x",), rules=Rules(bins=2))
    >>> rows = pl.DataFrame({"sex": ["F"] * 4, "label:x": [False, False, True, True],
    ...                      "score:x": [0.1, 0.3, 0.2, 0.9]})
    >>> pooled(population_of(rows, agreed, patient=None), agreed).estimates["value"][0]
    0.75
    """
    check_asked(people, agreed, "pooled")
    compared = compared_in(agreed, people.cells)
    coarse = replace(
        people, samples=tuple(on_grid(sample, agreed.rules.bins) for sample in people.samples)
    )
    asked = []
    for position, metric, point in agreed.questions:
        sample = (coarse if metric.kind == "ranking" else people).samples[position]
        name = None if point is None else agreed.named_points[point][1]
        asked.append(Question(sample, metric, name))
    counted, found = answers(asked, compared, agreed.plan.minimum)
    second = moments(asked, counted, found, compared, patients=people.patients)
    counts = count(coarse, agreed.table, candidate=agreed.plan.candidate)
    sheet = Sheet(tuple(levels_of(agreed.table)), counts, compared, people.clustered)
    unscored = {sample.finding: sample.unscored for sample in people.samples}
    return answered((asked, found), second, sheet, agreed.plan, unscored=unscored)
