"""What a mitigation is given: rows to train on, and the cells they fall into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ValidationError

from equipoise import probes
from equipoise.errors import InvalidConfiguration, InvalidTable, nearest
from equipoise.metrics import UNKNOWN

By = Literal["label_group", "group", "label"]


@dataclass(frozen=True, slots=True)
class Training:
    """Rows to train on; every label is assessed.

    Parameters
    ----------
    x
        Embeddings ``(n, d)``.
    y
        Labels ``(n,)``.
    groups
        Group of each row ``(n,)``, ``"unknown"`` where it is not known.
    patients
        Code of the patient of each row ``(n,)``: what is split is split by patient. None: each
        row is a patient of its own.
    """

    x: probes.Embeddings
    y: npt.NDArray[np.bool_]
    groups: npt.NDArray[np.str_]
    patients: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        lengths = (len(self.x), len(self.y), len(self.groups))
        if len(set(lengths)) != 1:
            raise InvalidTable(
                f"training rows: {lengths[0]} embeddings, {lengths[1]} labels, {lengths[2]} "
                "groups; expected as many of each"
            )
        if self.patients is not None and len(self.patients) != len(self.y):
            raise InvalidTable(
                f"training rows: {len(self.patients)} patients for {len(self.y)} rows; expected "
                "one each"
            )


def assessed(
    x: probes.Embeddings,
    labels: pl.Series,
    groups: Sequence[str] | npt.NDArray[np.str_],
    patients: npt.NDArray[np.int64] | None = None,
) -> Training:
    """Return the rows whose label is assessed.

    Parameters
    ----------
    x
        Embeddings ``(n, d)``.
    labels
        Boolean ``(n,)``; null = not assessed, left out.
    groups
        Group of each row ``(n,)``.
    patients
        Code of the patient of each row ``(n,)``, if it is known.

    Examples
    --------
    >>> rows = assessed(np.eye(3), pl.Series([True, None, False]), ["F", "F", "M"])
    >>> rows.y.tolist(), rows.groups.tolist()
    ([True, False], ['F', 'M'])
    """
    known = labels.is_not_null().to_numpy()
    truth = labels.fill_null(value=False).to_numpy().astype(bool)
    whose = None if patients is None else patients[known]
    return Training(x[known], truth[known], np.asarray(groups, dtype=np.str_)[known], whose)


def cells(training: Training, by: By) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the labels, groups or label × group cells that occur, and the one of each row.

    Rows of unknown group belong to no group and no cell: they have -1. Their label is known.

    Parameters
    ----------
    training
        The rows.
    by
        Cells of label and group, groups alone, or labels alone.

    Examples
    --------
    >>> rows = Training(np.eye(3), np.array([True, False, True]), np.array(["F", "F", "unknown"]))
    >>> names, codes = cells(rows, "label_group")
    >>> names, codes.tolist()
    (('negative|F', 'positive|F'), [1, 0, -1])
    """
    labels = np.where(training.y, "positive", "negative")
    known = training.groups != UNKNOWN
    if by == "label":
        names, known = labels, np.ones(len(labels), dtype=bool)
    elif by == "group":
        names = training.groups
    else:
        names = np.char.add(np.char.add(labels, "|"), training.groups)
    found, codes = np.unique(names[known], return_inverse=True)
    place = np.full(len(names), -1, dtype=np.int64)
    place[known] = codes
    return tuple(str(name) for name in found), place


def checked(training: Training, penalty: float) -> None:
    """Refuse rows that no probe can be fitted on, and a penalty that is none, before any work.

    Raises
    ------
    InvalidTable
        As `trainable` says.
    InvalidConfiguration
        If the penalty is not above 0.

    Examples
    --------
    >>> checked(Training(np.eye(2), np.array([True, True]), np.array(["F", "M"])), 1.0)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: labels: all 2 are positive; expected both kinds to train on
    """
    if not (np.isfinite(penalty) and penalty > 0):
        raise InvalidConfiguration(f"probe: penalty {penalty}; expected a number above 0")
    trainable(training)


def trainable(training: Training) -> None:
    """Refuse rows that no probe can be fitted on.

    Raises
    ------
    InvalidTable
        If an embedding is NaN, or one label occurs only.

    Examples
    --------
    >>> trainable(Training(np.eye(2), np.array([False, False]), np.array(["F", "M"])))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: labels: all 2 are negative; expected both kinds to train on
    """
    probes.check_embeddings(training.x)
    probes.check_labels(training.y, np.ones(len(training.y)))


def grouped(
    training: Training, mitigation: str, *, labels: Literal["any", "both"] = "any"
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the groups and the one of each row, once they are seen to be two or more.

    Parameters
    ----------
    training
        The rows; those of unknown group have -1.
    mitigation
        Which needs them, for the message.
    labels
        *both*: each group must have both labels.

    Raises
    ------
    InvalidTable
        If fewer than two groups are known, or one has one label where it needs both.

    Examples
    --------
    >>> grouped(Training(np.eye(2), np.array([True, False]), np.array(["F", "F"])), "leace")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: leace: the only known group is 'F'; expected two or more
    """
    names, codes = cells(training, "group")
    if len(names) < 2:
        found = f"the only known group is '{names[0]}'" if names else "no row's group is known"
        raise InvalidTable(
            f"{mitigation}: {found}; expected two or more",
            hint="name in group_by an attribute with at least two levels among the training rows",
        )
    if labels == "both":
        for place, name in enumerate(names):
            truth = training.y[codes == place]
            if truth.all() or not truth.any():
                kind = "positives" if truth.all() else "negatives"
                raise InvalidTable(
                    f"{mitigation}: group '{name}' has only {kind} among its {len(truth)} "
                    "training rows; expected both labels",
                    hint="join it with another level, or call its level 'unknown'",
                )
    return names, codes


def joined_groups(cohort: pl.DataFrame, by: Sequence[str]) -> list[str]:
    """Return one group per row: its levels joined, or ``"unknown"`` if any of them is.

    Parameters
    ----------
    cohort
        A row per image.
    by
        Text columns; null counts as unknown. With none, everybody is in ``"everybody"``.

    Raises
    ------
    InvalidTable
        If the cohort has no such column of text.

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F", "unknown"], "view": ["AP", "PA"]})
    >>> joined_groups(rows, ["sex", "view"])
    ['F|AP', 'unknown']
    """
    known = [name for name, dtype in cohort.schema.items() if dtype == pl.String]
    for name in by:
        if name not in known:
            raise InvalidTable(
                f"cohort: no attribute '{name}'; got {', '.join(known) or 'none'}",
                hint=nearest(name, known),
            )
    if not by:
        return ["everybody"] * cohort.height
    levels = [pl.col(name).fill_null(UNKNOWN) for name in by]
    unknown = pl.any_horizontal(level == UNKNOWN for level in levels)
    group = pl.concat_str(levels, separator="|")
    text = pl.when(unknown).then(pl.lit(UNKNOWN)).otherwise(group)
    return [str(name) for name in cohort.select(group=text)["group"]]


def mean_losses(
    truth: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    codes: npt.NDArray[np.int64],
    n: int,
) -> npt.NDArray[np.float64]:
    """Return the mean log loss (nats) of each of `n` groups; rows of code -1 are in none.

    Examples
    --------
    >>> truth, half = np.array([True, False]), np.full(2, 0.5)
    >>> mean_losses(truth, half, np.array([0, -1]), 1).round(3).tolist()
    [0.693]
    """
    tiny = np.finfo(np.float64).tiny
    right = np.where(truth, scores, 1.0 - scores)
    loss = -np.log(np.maximum(right, tiny))
    inside = codes >= 0
    total = np.bincount(codes[inside], weights=loss[inside], minlength=n)
    return np.asarray(total / np.bincount(codes[inside], minlength=n), dtype=np.float64)


Model = TypeVar("Model", bound=BaseModel)


def parsed(model: type[Model], parameters: Mapping[str, object], mitigation: str) -> Model:
    """Return the parameters of a mitigation, checked.

    Raises
    ------
    InvalidConfiguration
        If one is not known (the nearest is named) or says what cannot be.

    Examples
    --------
    >>> parsed(BaseModel, {"power": 1}, "plain")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: mitigation plain: unknown parameter 'power'; known: none
    """
    known = list(model.model_fields)
    for name in parameters:
        if name not in known:
            raise InvalidConfiguration(
                f"mitigation {mitigation}: unknown parameter '{name}'; "
                f"known: {', '.join(known) or 'none'}",
                hint=nearest(name, known),
            )
    try:
        return model.model_validate(dict(parameters))
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidConfiguration(
            f"mitigation {mitigation}: {first['loc'][0]}: {first['msg']} (got {first['input']!r})"
        ) from error
