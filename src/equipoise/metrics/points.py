"""Operating points: thresholds chosen by a named rule on other rows than those that are audited."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import evidence
from equipoise.errors import InvalidConfiguration, InvalidTable, nearest
from equipoise.tables import findings as findings_of

Scores = npt.NDArray[np.floating]
RuleName = Literal["sensitivity", "specificity", "max_f1", "youden", "net_benefit"]

RULES: tuple[RuleName, ...] = get_args(RuleName)
_WITH_SHARE = ("sensitivity", "specificity", "net_benefit")
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Rule:
    """How an operating point is chosen.

    Parameters
    ----------
    kind
        One of `RULES`.
    at
        The share that *sensitivity* and *specificity* ask for, or the threshold probability of
        *net_benefit*; None for the others.
    """

    kind: RuleName
    at: float | None = None

    @property
    def name(self) -> str:
        """What the operating point is called, as *specificity_0.9*."""
        return self.kind if self.at is None else f"{self.kind}_{self.at:g}"

    @property
    def said(self) -> str:
        """The rule in words, as the table *operating points* gives it."""
        if self.at is None:
            return self.kind
        return f"{self.kind} {'at' if self.kind == 'net_benefit' else '>='} {self.at:g}"


def rule(said: str) -> Rule:
    """Return a rule from the words of a command line or a file.

    Parameters
    ----------
    said
        ``specificity=0.9``, ``sensitivity=0.9``, ``net_benefit=0.1``, ``max_f1`` or ``youden``.

    Raises
    ------
    InvalidConfiguration
        If there is no such rule, or its share is lacking or not between 0 and 1.

    Examples
    --------
    >>> rule("specificity=0.9").name, rule("youden").said
    ('specificity_0.9', 'youden')
    >>> rule("specifity=0.9")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: no rule 'specifity'; known rules: sensitivity, \
specificity, max_f1, youden, net_benefit
    """
    word, equals, share = said.partition("=")
    kind = next((known for known in RULES if known == word.strip()), None)
    if kind is None:
        raise InvalidConfiguration(
            f"no rule '{word}'; known rules: {', '.join(RULES)}", hint=nearest(word, RULES)
        )
    if kind not in _WITH_SHARE:
        if equals:
            raise InvalidConfiguration(f"rule {said}: '{kind}' takes no share; expected '{kind}'")
        return Rule(kind)
    try:
        at = float(share)
    except ValueError:
        at = float("nan")
    if not 0 < at < 1:
        raise InvalidConfiguration(
            f"rule {said}: {share or 'nothing'!r} is no share between 0 and 1; expected {kind}=0.9"
        )
    return Rule(kind, at)


def threshold(
    score: Scores, label: npt.NDArray[np.bool_], *, rule: RuleName, at: float | None = None
) -> float:
    """Return the score from which an image is called positive.

    It is one of the scores, or just above all of them, so that nothing depends on how a computer
    rounds a midpoint; with ties it is the same whatever the order of the rows.

    Parameters
    ----------
    score
        On validation ``(n,)``, in the precision in which it was stored.
    label
        True = positive; both occur.
    rule
        *specificity*: the lowest threshold with at least `at` of the negatives below.
        *sensitivity*: the highest with at least `at` of the positives at or above.
        *max_f1*: the harmonic mean of precision and sensitivity is largest; of several, the
        highest. *youden*: sensitivity + specificity is largest; of several, the highest.
        *net_benefit*: `at` itself, the probability at which a patient would be called.
    at
        A share between 0 and 1.

    References
    ----------
    Youden, *Index for rating diagnostic tests*, Cancer 3, 1950; Vickers and Elkin, *Decision curve
    analysis*, Medical Decision Making 26, 2006; Lipton, Elkan and Narayanaswamy, *Optimal
    thresholding of classifiers to maximize F1 measure*, ECML 2014.

    Examples
    --------
    >>> score = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    >>> label = np.array([False, False, True, True])
    >>> round(threshold(score, label, rule="specificity", at=0.5), 3)
    0.2
    >>> round(threshold(score, label, rule="youden"), 3)
    0.3
    """
    share = 0.0 if at is None else at
    if rule == "net_benefit":
        return share
    values = np.unique(score)
    above_all = np.nextafter(values[-1], values.dtype.type(np.inf), dtype=values.dtype)
    values = np.append(values, above_all)
    negative, positive = np.sort(score[~label]), np.sort(score[label])
    below = np.searchsorted(negative, values, side="left") / len(negative)
    reached = 1.0 - np.searchsorted(positive, values, side="left") / len(positive)
    if rule == "specificity":
        return float(values[np.argmax(below >= share - _ROUNDING)])
    if rule == "sensitivity":
        return float(values[np.flatnonzero(reached >= share - _ROUNDING)[-1]])
    if rule == "max_f1":
        hits = reached * len(positive)
        total = 2 * hits / (hits + (1.0 - below) * len(negative) + len(positive))
    else:
        total = below + reached
    return float(values[np.flatnonzero(total >= total.max() - _ROUNDING)[-1]])


def seal(image_ids: Sequence[str], score: Scores, label: npt.NDArray[np.bool_]) -> str:
    """Return the SHA-256 of the validation predictions, whatever their order.

    Examples
    --------
    >>> one = seal(["a", "b"], np.array([0.1, 0.2], np.float32), np.array([True, False]))
    >>> one == seal(["b", "a"], np.array([0.2, 0.1], np.float32), np.array([False, True]))
    True
    """
    rows = zip(image_ids, score.tolist(), label.tolist(), strict=True)
    return evidence.digest([list(row) for row in sorted(rows)])


def operating_points(
    validation: pl.DataFrame,
    rules: Sequence[Rule],
    *,
    chosen_on: str,
    findings: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return a threshold per finding and rule, chosen on rows that are not audited.

    Parameters
    ----------
    validation
        Predictions, wide. Rows without a label or a score choose nothing.
    rules
        How each operating point is chosen.
    chosen_on
        What the rows are, in a word: *validation*, or the name of their file.
    findings
        Which findings; all that have a label, by default.

    Returns
    -------
    `finding, operating_point, rule, threshold, chosen_on, digest`. The digest binds a threshold to
    the rows that chose it. A threshold probability (*net_benefit*) is chosen by nobody: it is
    *stated*, and its digest is *none*.

    Raises
    ------
    InvalidTable
        If a finding is absent, or has only one class there.

    Examples
    --------
    >>> rows = pl.DataFrame({"image_id": ["a", "b", "c"], "label:x": [False, True, True],
    ...                      "score:x": [0.2, 0.6, 0.9]})
    >>> found = operating_points(rows, [rule("youden"), rule("net_benefit=0.1")],
    ...                          chosen_on="validation")
    >>> found["operating_point", "threshold", "chosen_on"].rows()
    [('youden', 0.6, 'validation'), ('net_benefit_0.1', 0.1, 'stated')]
    """
    known = findings_of(validation)
    made = [
        row
        for finding in (known if findings is None else findings)
        for row in _of_finding(validation, finding, rules, chosen_on)
    ]
    text = pl.String()
    return pl.DataFrame(
        made,
        schema={
            "finding": text,
            "operating_point": text,
            "rule": text,
            "threshold": pl.Float64(),
            "chosen_on": text,
            "digest": text,
        },
        orient="row",
    )


def check_apart(
    audited: pl.DataFrame, validation: pl.DataFrame, *, patient: str | None = None
) -> None:
    """Refuse validation rows that are audited as well.

    Parameters
    ----------
    audited, validation
        Predictions, wide. Images are compared by `image_id`, patients by their column; without
        either, the same labels and scores, in whatever order, are taken to be the same rows.
    patient
        The column that says whose image it is.

    Raises
    ------
    InvalidTable
        If an image or a patient is in both: a threshold that was tuned on what is audited looks
        better than it is, and not to the same extent in each group.

    Examples
    --------
    >>> rows = pl.DataFrame({"image_id": ["a", "b"]})
    >>> check_apart(rows, pl.DataFrame({"image_id": ["b", "c"]}))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: operating points: thresholds tuned on the audited set: 1 image \
of the validation rows is audited too, as image_id 'b'
    """
    compared = False
    for name, noun in (("image_id", "image"), (patient, "patient")):
        if name is None or name not in audited.columns or name not in validation.columns:
            continue
        compared = True
        both = _both(audited[name], validation[name])
        if both.len():
            what = f"{noun} of the validation rows is" if both.len() == 1 else f"{noun}s are"
            _refuse(f"{both.len()} {what} audited too, as {name} {both[0]!r}")
    if not compared and _numbers(audited).equals(_numbers(validation)):
        _refuse(f"the {validation.height} validation rows have the audited labels and scores")


def _refuse(what: str) -> None:
    raise InvalidTable(
        f"operating points: thresholds tuned on the audited set: {what}",
        hint="choose them on a split of its own, or state them with --threshold",
    )


def _both(audited: pl.Series, validation: pl.Series) -> pl.Series:
    # As text: an identifier may be a number in one table and a text in the other.
    mine = audited.drop_nulls().unique().cast(pl.String)
    theirs = validation.drop_nulls().unique().cast(pl.String)
    return theirs.filter(theirs.is_in(mine.implode())).sort()


def _numbers(frame: pl.DataFrame) -> pl.DataFrame:
    wanted = [name for name in frame.columns if name.startswith(("label:", "score:"))]
    # In one order: a table that was shuffled holds the same rows.
    return frame.select(sorted(wanted)).cast({pl.Float32: pl.Float64}).sort(sorted(wanted))


def _of_finding(
    validation: pl.DataFrame, finding: str, rules: Sequence[Rule], chosen_on: str
) -> list[tuple[str, str, str, float, str, str]]:
    for name in (f"label:{finding}", f"score:{finding}"):
        if name not in validation.columns:
            raise InvalidTable(
                f"operating points: no column '{name}' to choose on; got {validation.columns}",
                hint=nearest(name, validation.columns),
            )
    rows = validation.drop_nulls([f"label:{finding}", f"score:{finding}"])
    label = rows[f"label:{finding}"].to_numpy().astype(bool)
    score = rows[f"score:{finding}"].to_numpy()
    tuned = [one for one in rules if one.kind != "net_benefit"]
    if tuned and (label.all() or not label.any()):
        raise InvalidTable(
            f"operating points: finding '{finding}' has {int(label.sum())} positives and "
            f"{int((~label).sum())} negatives to choose on; expected both",
            hint="state a threshold instead, or audit the other findings",
        )
    digest = seal(_ids(rows), score, label) if tuned else ""
    return [
        (finding, one.name, one.said, one.at or 0.0, "stated", "none")
        if one.kind == "net_benefit"
        else (
            finding,
            one.name,
            one.said,
            threshold(score, label, rule=one.kind, at=one.at),
            chosen_on,
            digest,
        )
        for one in rules
    ]


def _ids(rows: pl.DataFrame) -> list[str]:
    if "image_id" in rows.columns:
        return rows["image_id"].cast(pl.String).to_list()
    return [str(i) for i in range(rows.height)]
