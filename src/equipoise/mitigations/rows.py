"""What a mitigation is given (rows to train on) and what it gives (a fitted probe)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ValidationError

from equipoise import probes
from equipoise.errors import InvalidConfiguration, InvalidInput, InvalidTable, nearest
from equipoise.metrics import UNKNOWN
from equipoise.tables import read_json


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
    """

    x: probes.Embeddings
    y: npt.NDArray[np.bool_]
    groups: npt.NDArray[np.str_]

    def __post_init__(self) -> None:
        lengths = (len(self.x), len(self.y), len(self.groups))
        if len(set(lengths)) != 1:
            raise InvalidTable(
                f"training rows: {lengths[0]} embeddings, {lengths[1]} labels, {lengths[2]} "
                "groups; expected as many of each"
            )


@dataclass(frozen=True, slots=True)
class Fitted:
    """A probe and how it came to be.

    Parameters
    ----------
    mitigation
        What fitted it.
    probe
        The probe.
    groups
        The groups or cells that were weighed, in the order of the arrays below.
    group_weights
        The weight of each in the objective ``(g,)``; they add up to 1.
    group_losses
        The mean log loss of each on the training rows ``(g,)``.
    gap
        By how much the objective may exceed its minimum, at most (nats).
    needs_group_at_test
        Whether a score needs the group of the patient.
    """

    mitigation: str
    probe: probes.LogisticProbe
    groups: tuple[str, ...]
    group_weights: npt.NDArray[np.float64]
    group_losses: npt.NDArray[np.float64]
    gap: float = 0.0
    needs_group_at_test: Literal[False] = False

    @property
    def converged(self) -> bool:
        """Whether the solver came to the minimum it was asked for."""
        return self.probe.converged


def assessed(
    x: probes.Embeddings, labels: pl.Series, groups: Sequence[str] | npt.NDArray[np.str_]
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

    Examples
    --------
    >>> rows = assessed(np.eye(3), pl.Series([True, None, False]), ["F", "F", "M"])
    >>> rows.y.tolist(), rows.groups.tolist()
    ([True, False], ['F', 'M'])
    """
    known = labels.is_not_null().to_numpy()
    truth = labels.fill_null(value=False).to_numpy().astype(bool)
    return Training(x[known], truth[known], np.asarray(groups, dtype=np.str_)[known])


def cells(
    training: Training, by: Literal["label_group", "group"]
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the groups or label × group cells that occur, and the one of each row.

    Rows of unknown group belong to none: they have -1.

    Parameters
    ----------
    training
        The rows.
    by
        Cells of label and group, or groups alone.

    Examples
    --------
    >>> rows = Training(np.eye(3), np.array([True, False, True]), np.array(["F", "F", "unknown"]))
    >>> names, codes = cells(rows, "label_group")
    >>> names, codes.tolist()
    (('negative|F', 'positive|F'), [1, 0, -1])
    """
    labels = np.where(training.y, "positive|", "negative|")
    names = training.groups if by == "group" else np.char.add(labels, training.groups)
    known = training.groups != UNKNOWN
    found, codes = np.unique(names[known], return_inverse=True)
    place = np.full(len(names), -1, dtype=np.int64)
    place[known] = codes
    return tuple(str(name) for name in found), place


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


def mean_losses(
    training: Training, probe: probes.LogisticProbe, codes: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.float64]:
    """Return the mean log loss (nats) of each of `n` groups; rows of code -1 are in none.

    Examples
    --------
    >>> from equipoise.mitigations import plain
    >>> rows = Training(np.zeros((2, 1)), np.array([True, False]), np.array(["F", "M"]))
    >>> fitted = plain.fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0))
    >>> mean_losses(rows, fitted.probe, np.array([0, -1]), 1).round(3).tolist()
    [0.693]
    """
    tiny = np.finfo(np.float64).tiny
    scores = probe.scores(training.x)
    right = np.where(training.y, scores, 1.0 - scores)
    loss = -np.log(np.maximum(right, tiny))
    inside = codes >= 0
    total = np.bincount(codes[inside], weights=loss[inside], minlength=n)
    return np.asarray(total / np.bincount(codes[inside], minlength=n), dtype=np.float64)


def scores(fitted: Fitted, x: probes.Embeddings) -> npt.NDArray[np.float32]:
    """Return scores as they are written, Float32: offline and in a bundle alike.

    Raises
    ------
    InvalidTable
        If one is no number.

    Examples
    --------
    >>> from equipoise.mitigations import plain
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> fitted = plain.fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0))
    >>> scores(fitted, np.eye(2)).dtype.name
    'float32'
    """
    found = fitted.probe.scores(x).astype(np.float32)
    bad = ~np.isfinite(found)
    if bad.any():
        raise InvalidTable(f"scores: {bad.sum()} of {len(found)} are NaN; expected numbers")
    return found


def save(fitted: Fitted, path: Path) -> None:
    """Write ``<path>.safetensors`` and ``<path>.json``.

    Examples
    --------
    >>> import tempfile
    >>> from equipoise.mitigations import plain
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> path = Path(tempfile.mkdtemp()) / "plain"
    >>> save(plain.fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0)), path)
    >>> load(path).mitigation
    'plain'
    """
    more = {
        "mitigation": fitted.mitigation,
        "groups": list(fitted.groups),
        "group_weights": fitted.group_weights.tolist(),
        "group_losses": fitted.group_losses.tolist(),
        "gap": fitted.gap,
        "needs_group_at_test": fitted.needs_group_at_test,
    }
    probes.save(fitted.probe, path, more=more)


class _Said(BaseModel):
    """What stands beside the probe."""

    mitigation: str
    groups: tuple[str, ...]
    group_weights: tuple[float, ...]
    group_losses: tuple[float, ...]
    gap: float


def load(path: Path) -> Fitted:
    """Return what `save` wrote.

    Raises
    ------
    InvalidInput
        If a file is absent, torn, or not that of a fitted mitigation.

    Examples
    --------
    >>> load(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere.json: no such file
    """
    probe = probes.load(path)
    try:
        said = _Said.model_validate(read_json(path.with_name(path.name + ".json")))
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{path}.json: {first['loc'][0]}: {first['msg']}") from error
    return Fitted(
        mitigation=said.mitigation,
        probe=probe,
        groups=said.groups,
        group_weights=np.array(said.group_weights),
        group_losses=np.array(said.group_losses),
        gap=said.gap,
    )
