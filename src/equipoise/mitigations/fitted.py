"""What a mitigation gives: a probe, with a step before it and one after it if it has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

from equipoise import probes
from equipoise.errors import InvalidInput, InvalidTable
from equipoise.mitigations import steps
from equipoise.mitigations.rows import By, Training, cells, mean_losses
from equipoise.tables import read_json, write_bytes

Reals = npt.NDArray[np.float64]
Groups = npt.NDArray[np.str_]
Shape = Literal["before", "features", "during", "tuning", "after"]


def _nothing() -> Reals:
    return np.empty(0)


@dataclass(frozen=True, slots=True)
class Declared:
    """What a member says of itself, as ``DECLARED`` in its module.

    Parameters
    ----------
    shape
        *before* (rows → weights or rows), *features* (embeddings → embeddings), *during*
        (embeddings, labels, groups → probe), *tuning* (images → encoder), *after* (scores →
        scores).
    group_in_training
        Whether it does anything without groups of the training rows.
    group_at_test
        Whether a score needs the group of the patient: then it cannot be released in a bundle,
        which is asked about images alone.
    without_groups
        Parameters under which no groups are needed in training after all; none by default.
    """

    shape: Shape
    group_in_training: bool
    group_at_test: bool = False
    without_groups: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A probe, the steps around it, and how they came to be.

    A score is ``after(probe(features(x)))``, each step only if there is one.

    Parameters
    ----------
    mitigation
        What fitted it.
    probe
        The probe, on embeddings as `features` leaves them.
    groups
        The groups or cells that were weighed, in the order of the arrays below.
    group_weights
        The weight of each in the objective ``(g,)``; they add up to 1.
    group_losses
        The mean log loss of each on the training rows ``(g,)``.
    gap
        By how much the objective may exceed its minimum, at most (nats).
    features
        The step from embeddings to embeddings, if there is one.
    after
        The step from scores to scores, if there is one.
    """

    mitigation: str
    probe: probes.LogisticProbe
    groups: tuple[str, ...] = ()
    group_weights: Reals = field(default_factory=_nothing)
    group_losses: Reals = field(default_factory=_nothing)
    gap: float = 0.0
    features: steps.Step | None = None
    after: steps.Step | None = None

    @property
    def converged(self) -> bool:
        """Whether the solver came to the minimum it was asked for."""
        return self.probe.converged

    @property
    def needs_group_at_test(self) -> bool:
        """Whether a score needs the group of the patient."""
        return any(one is not None and one.groups for one in (self.features, self.after))


def raw_scores(fitted: Fitted, x: probes.Embeddings, groups: Groups | None = None) -> Reals:
    """Return scores ``(n,)`` in Float64, before they are checked and written.

    Examples
    --------
    >>> from equipoise.mitigations import plain
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> fitted = plain.fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0))
    >>> bool(raw_scores(fitted, np.eye(2))[0] > 0.5)
    True
    """
    seen = x if fitted.features is None else steps.featured(fitted.features, x, groups)
    found = fitted.probe.scores(seen)
    return found if fitted.after is None else steps.finished(fitted.after, found, groups)


def scores(
    fitted: Fitted, x: probes.Embeddings, groups: Groups | None = None
) -> npt.NDArray[np.float32]:
    """Return scores as they are written, Float32: offline and in a bundle alike.

    Parameters
    ----------
    fitted
        What a member gave.
    x
        Embeddings ``(n, d)``.
    groups
        Of each row; only what `needs_group_at_test` asks for it. A group that is ``"unknown"``
        or was not seen in training is treated as the pooled training rows are.

    Raises
    ------
    InvalidTable
        If one is no number, or the group is needed and not given.

    Examples
    --------
    >>> from equipoise.mitigations import plain
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> fitted = plain.fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0))
    >>> scores(fitted, np.eye(2)).dtype.name
    'float32'
    """
    if fitted.needs_group_at_test and groups is None:
        raise InvalidTable(
            f"scores: mitigation '{fitted.mitigation}' needs the group of every image; none given",
            hint="say 'unknown' where it is not known",
        )
    found = raw_scores(fitted, x, groups).astype(np.float32)
    bad = ~np.isfinite(found)
    if bad.any():
        raise InvalidTable(f"scores: {bad.sum()} of {len(found)} are NaN; expected numbers")
    return found


def described(
    fitted: Fitted,
    training: Training,
    *,
    by: By = "label_group",
    weights: Reals | None = None,
) -> Fitted:
    """Return what was fitted with the weight and the loss of each cell of its training rows.

    Parameters
    ----------
    fitted
        What a member made.
    training
        The rows that were given.
    by
        Which cells.
    weights
        Of the rows in the objective ``(n,)``; all alike by default.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> probe = probes.fit_logistic(rows.x, rows.y, penalty=1.0)
    >>> described(Fitted("plain", probe), rows).group_weights.tolist()
    [0.5, 0.5]
    """
    each = np.ones(len(training.y)) if weights is None else weights
    return of_cells(fitted, training, *cells(training, by), each)


def of_cells(
    fitted: Fitted,
    training: Training,
    names: tuple[str, ...],
    codes: npt.NDArray[np.int64],
    weights: Reals,
) -> Fitted:
    """Return what was fitted with the weight and the loss of given cells of its training rows.

    Parameters
    ----------
    fitted
        What a member made.
    training
        The rows that were given.
    names
        Of the cells.
    codes
        The cell of each row ``(n,)``, -1 for none.
    weights
        Of the rows in the objective ``(n,)``.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> fitted = Fitted("plain", probes.fit_logistic(rows.x, rows.y, penalty=1.0))
    >>> of_cells(fitted, rows, ("all",), np.zeros(2, int), np.ones(2)).group_losses.round(2)
    array([0.41])
    """
    known = codes >= 0
    total = np.bincount(codes[known], weights=weights[known], minlength=len(names))
    found = raw_scores(fitted, training.x, training.groups)
    return replace(
        fitted,
        groups=names,
        group_weights=total / max(float(total.sum()), np.finfo(np.float64).tiny),
        group_losses=mean_losses(training.y, found, codes, len(names)),
    )


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
    from safetensors.numpy import load as unpack
    from safetensors.numpy import save as pack

    around = {"features": fitted.features, "after": fitted.after}
    more: dict[str, object] = {
        "mitigation": fitted.mitigation,
        "groups": list(fitted.groups),
        "group_weights": fitted.group_weights.tolist(),
        "group_losses": fitted.group_losses.tolist(),
        "gap": fitted.gap,
        "needs_group_at_test": fitted.needs_group_at_test,
        **{
            name: {"kind": one.kind, "groups": list(one.groups)}
            for name, one in around.items()
            if one is not None
        },
    }
    probes.save(fitted.probe, path, more=more)
    arrays = {
        f"{name}.{key}": np.ascontiguousarray(array)
        for name, one in around.items()
        if one is not None
        for key, array in one.arrays.items()
    }
    if arrays:  # beside those of the probe, so that a fitted member is one pair of files
        place = _arrays_of(path)
        write_bytes(place, pack({**unpack(place.read_bytes()), **arrays}))


class _Around(BaseModel):
    kind: str
    groups: tuple[str, ...]


class _Said(BaseModel):
    """What stands beside the probe."""

    mitigation: str
    groups: tuple[str, ...]
    group_weights: tuple[float, ...]
    group_losses: tuple[float, ...]
    gap: float
    needs_group_at_test: bool = False
    features: _Around | None = None
    after: _Around | None = None


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
    from safetensors.numpy import load as unpack

    probe = probes.load(path)
    try:
        said = _Said.model_validate(read_json(path.with_name(path.name + ".json")))
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{path}.json: {first['loc'][0]}: {first['msg']}") from error
    arrays = unpack(_arrays_of(path).read_bytes()) if said.features or said.after else {}
    found = Fitted(
        mitigation=said.mitigation,
        probe=probe,
        groups=said.groups,
        group_weights=np.array(said.group_weights),
        group_losses=np.array(said.group_losses),
        gap=said.gap,
        features=_step("features", said.features, arrays, path),
        after=_step("after", said.after, arrays, path),
    )
    if found.needs_group_at_test != said.needs_group_at_test:
        raise InvalidInput(
            f"{path}.json: needs_group_at_test is {said.needs_group_at_test}, its steps say "
            f"{found.needs_group_at_test}"
        )
    return found


def _step(
    name: str, said: _Around | None, arrays: Mapping[str, Reals], path: Path
) -> steps.Step | None:
    if said is None:
        return None
    mine = {
        key.removeprefix(f"{name}."): array
        for key, array in arrays.items()
        if key.startswith(f"{name}.")
    }
    step = steps.Step(said.kind, mine, said.groups)
    steps.check(step, str(path), name)
    return step


def _arrays_of(path: Path) -> Path:
    return path.with_name(path.name + ".safetensors")
