"""The layouts of other toolkits, recognised by their columns and renamed, aloud.

A layout is what a published program writes or reads as it is: the tables of `fairmedfm`, the
arguments of Fairlearn's examples as columns, the ``pred.csv`` of MEDFAIR. What could be read in two
ways is refused: nothing is guessed.
"""

import logging
import re
from collections.abc import Sequence

import polars as pl

from equipoise.errors import InvalidTable
from equipoise.tables import findings

_log = logging.getLogger(__name__)

_TRUTH = "label labels y_true ytrue target targets gt ground_truth groundtruth truth true_label y"
_SCORE = (
    "score scores prob probs probability proba y_prob y_proba y_score pred_prob prediction "
    "predictions pred y_pred output logit logits p"
)
_DECISIONS = ("y_pred", "pred", "prediction", "predictions")
_FAMILY = r"(prob|probs|probability|proba|score|scores|logit|logits|y_prob|y_proba|y_score)_(.+)"
_NUMBERED = r"(p|pred|output)_?(\d+)"
_MEDFAIR = {"index", "pred", "label"}
_WHAT = (
    "expected label and score, label:<finding> and score:<finding>, a label of class names and "
    "score:<class>, or the columns of fairmedfm, Fairlearn or MEDFAIR"
)


def is_score(name: str) -> bool:
    """Return whether a column of this name holds scores, in our layout or in one we recognise.

    Examples
    --------
    >>> [is_score(name) for name in ("score:edema", "y_score", "prob_0", "age", "label")]
    [True, True, True, False, False]
    """
    plain = _plain(name)
    return (
        name.startswith("score:")
        or plain in _SCORE.split()
        or re.fullmatch(f"{_FAMILY}|{_NUMBERED}", plain) is not None
    )


def as_ours(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the table with our column names, and say which layout was recognised.

    Parameters
    ----------
    frame
        Our own layout, returned as it is, or another's. A score that holds nothing but 0 and 1 is
        a decision: it is audited, and said.

    Raises
    ------
    InvalidTable
        If two columns could be the label or the score.

    Examples
    --------
    >>> as_ours(pl.DataFrame({"y_true": [1], "y_score": [0.5], "sex": ["F"]})).columns
    ['label', 'score', 'sex']
    >>> as_ours(pl.DataFrame({"label": ["a"], "prob_a": [0.5], "prob_b": [0.5]})).columns
    ['label', 'score:a', 'score:b']
    """
    if _is_ours(frame.columns):
        return frame
    if set(frame.columns) >= _MEDFAIR:
        return _of_medfair(frame)
    truth = _one(frame.columns, _TRUTH.split(), "label")
    single = _single_score(frame.columns)
    family = {} if single else _family(frame.columns)
    if truth is None or (single is None and not family):
        return frame
    if single is not None:
        renamed = {truth: "label", single: "score"}
    else:
        renamed = {truth: "label", **_of_classes(family)}
    return _renamed(frame, renamed, _name(truth, single))


def expected() -> str:
    """Return in words which layouts are read.

    Examples
    --------
    >>> expected().startswith("expected label and score")
    True
    """
    return _WHAT


def _is_ours(columns: Sequence[str]) -> bool:
    classes = any(name.startswith("score:") for name in columns)
    labelled = any(name.startswith("label:") for name in columns)
    return (
        "finding" in columns
        or labelled
        or ("label" in columns and ("score" in columns or classes))
        or classes
    )


def _of_medfair(frame: pl.DataFrame) -> pl.DataFrame:
    _log.warning(
        "predictions: MEDFAIR's pred.csv holds decisions, made at the threshold with the largest "
        "F1 on these very images: thresholds tuned on the audited set, so rates look better than "
        "they are"
    )
    return _renamed(frame, {"index": "image_id", "pred": "score"}, "MEDFAIR")


def _renamed(frame: pl.DataFrame, names: dict[str, str], layout: str) -> pl.DataFrame:
    names = {old: new for old, new in names.items() if old != new}
    taken = [new for new in names.values() if new in frame.columns and new not in names]
    if taken:
        raise InvalidTable(
            f"predictions: the layout of {layout} has a column '{taken[0]}' of its own; {_WHAT}; "
            f"got {frame.columns}"
        )
    _log.warning(
        "predictions: read in the layout of %s: %s",
        layout,
        ", ".join(f"{old} as {new}" for old, new in names.items()) or "no column is renamed",
    )
    found = frame.rename(names)
    if "score" in found.columns and found["score"].dtype.is_numeric():
        seen = found["score"].drop_nulls()
        if seen.len() and ((seen == 0) | (seen == 1)).all():
            _log.warning(
                "predictions: column '%s' holds only 0 and 1: decisions, not scores, so that "
                "ranking and calibration say little",
                next((old for old, new in names.items() if new == "score"), "score"),
            )
    return found


def _name(truth: str, single: str | None) -> str:
    fairlearn = truth == "y_true" and single in {"y_pred", "y_score", "y_prob", "y_proba"}
    return "Fairlearn" if fairlearn else "fairmedfm"


def _single_score(columns: Sequence[str]) -> str | None:
    """Return the score; a decision that stands beside it is left as it is."""
    words = _SCORE.split()
    sure = [word for word in words if word not in _DECISIONS]
    return _one(columns, sure, "score") or _one(columns, words, "score")


def _plain(name: str) -> str:
    return re.sub(r"[\s\-.]+", "_", name.strip().lower())


def _one(columns: Sequence[str], words: Sequence[str], role: str) -> str | None:
    found = [name for name in columns if _plain(name) in words]
    if len(found) > 1:
        raise InvalidTable(
            f"predictions: several columns could be the {role}: {', '.join(found)}; {_WHAT}",
            hint=f"rename the one that is meant to '{role}'",
        )
    return found[0] if found else None


def _family(columns: Sequence[str]) -> dict[str, str]:
    """Return column → class of the score columns that share a beginning."""
    families: dict[str, dict[str, str]] = {}
    for name in columns:
        said = re.fullmatch(_NUMBERED, _plain(name)) or re.fullmatch(_FAMILY, _plain(name))
        if said is not None:
            ending = name[len(name) - len(said.group(2)) :]
            families.setdefault(said.group(1), {})[name] = ending
    several = {start: family for start, family in families.items() if len(family) > 1}
    if len(several) > 1:
        raise InvalidTable(
            f"predictions: several groups of score columns: {', '.join(sorted(several))}; {_WHAT}",
            hint="keep one group, as score:<class>",
        )
    return next(iter(several.values()), {})


def _of_classes(family: dict[str, str]) -> dict[str, str]:
    """Return the new names; of two columns numbered 0 and 1 the second is the score."""
    first_second = sorted(family, key=lambda name: family[name])
    if [family[name] for name in first_second] == ["0", "1"]:
        return {first_second[1]: "score"}
    return {name: f"score:{one}" for name, one in family.items()}


def has_classes(frame: pl.DataFrame) -> bool:
    """Return whether the table has one label of several classes, and a score for each.

    Examples
    --------
    >>> has_classes(pl.DataFrame({"label": ["a"], "score:a": [0.6], "score:b": [0.4]}))
    True
    """
    several = sum(name.startswith("score:") for name in frame.columns) > 1
    return several and "label" in frame.columns and not findings(frame)
