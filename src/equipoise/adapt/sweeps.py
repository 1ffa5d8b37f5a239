"""One candidate in one round, fitted: every finding and penalty, in one batch where it can be.

A member that only weighs rows is asked for its weights once per finding; then all findings and
penalties are columns of one batch, a label that is not assessed being a weight of 0. What the batch
has not solved in thirty passes is finished by itself, and so is all where rows are fewer than twice
the dimensions or columns fewer than four: there, one by one is as fast or faster. Every other
member, and a study's own, is fitted one penalty after another.

The rows of a batch are those of the round's training part that are assessed for some finding, and
no others; and a batch holds one candidate. So no patient who is validated on or scored, and no
other candidate, has any part in a fit, not even in its last bits. The other findings may have one
in what lies below the tolerance.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from equipoise import probes, registry
from equipoise.adapt.material import Rows
from equipoise.adapt.options import Candidate, Options
from equipoise.adapt.rounds import Round
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics import UNKNOWN
from equipoise.mitigations import (
    MITIGATIONS,
    WEIGHTINGS,
    Declared,
    Fitted,
    Training,
    Weighed,
    solved,
    told,
)

Fit = Callable[..., object]
Failure = InvalidTable | ArithmeticError | ValueError

FAILURES = (InvalidTable, ArithmeticError, ValueError)
"""What makes a candidate fail by itself, while the others go on; of numpy and scipy, and of a
study's own mitigation too."""

TOLERANCE = 1e-7
"""No entry of a gradient exceeds it where a fit of a batch ends: below this float32 is noise."""

# Measured over 0.5 to 8 rows a dimension, 64 to 768 dimensions, penalties of 1e-5 to 10: with fewer
# rows, or where few of them bear the weight, the Gram matrix foretells the Hessian badly.
_ROWS = 2
_COLUMNS = 4
_PASSES = 30


def fits(
    rows: Rows,
    findings: Sequence[str],
    candidate: Candidate,
    part: Round,
    options: Options,
    *,
    seed: int,
) -> dict[str, list[Fitted] | Failure]:
    """Return what was fitted for each finding, a fit per setting and penalty, the strongest first.

    Settings are the combinations of the candidate's grid, in their order. A finding that cannot be
    fitted has the reason in place of its fits; the others go on.

    Parameters
    ----------
    rows
        The images.
    findings
        Some of theirs.
    candidate
        Which mitigation, with which parameters.
    part
        Who is fitted on and who validates.
    options
        The penalties.
    seed
        Of the generator that the mitigation draws from, anew for each finding and fit.

    Raises
    ------
    InvalidConfiguration
        If the mitigation has no such parameter or gives no probe.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.adapt.material import rows
    >>> ids = ["a", "b", "c", "d"]
    >>> labels = {"label:edema": [True, False, True, False], "label:mass": [True] * 4}
    >>> cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, **labels})
    >>> splits = pl.DataFrame({"image_id": ids, "split": ["train"] * 4, "fold": [0, 0, 1, 1]})
    >>> vectors = pl.Series([[1.0], [0.0]] * 2, dtype=pl.Array(pl.Float32, 1))
    >>> embeddings = pl.DataFrame({"image_id": ids, "vector": vectors})
    >>> images = rows(cohort, splits, embeddings, findings=None, group_by=[])
    >>> everyone = np.ones(4, dtype=bool)
    >>> part = Round(None, everyone, everyone, everyone)
    >>> plain = Candidate(name="plain", mitigation="plain")
    >>> found = fits(images, ["edema", "mass"], plain, part, Options(penalties=(0.1, 1.0)), seed=0)
    >>> [one.probe.penalty for one in found["edema"]], str(found["mass"])[:38]
    ([1.0, 0.1], "finding 'mass': validation has 4 posit")
    """
    found: dict[str, list[Fitted] | Failure] = {name: [] for name in findings}
    for parameters in candidate.settings():
        one = candidate.model_copy(update={"parameters": parameters})
        for finding, made in _of_setting(rows, findings, one, part, options, seed).items():
            before = found[finding]
            if isinstance(before, list):
                found[finding] = [*before, *made] if isinstance(made, list) else made
    return found


def _of_setting(
    rows: Rows,
    findings: Sequence[str],
    candidate: Candidate,
    part: Round,
    options: Options,
    seed: int,
) -> dict[str, list[Fitted] | Failure]:
    fit = registry.load(candidate.mitigation, MITIGATIONS, kind="mitigation")
    found: dict[str, list[Fitted] | Failure] = {}
    weighings: dict[str, Weighed] = {}
    for finding in findings:
        try:
            _check(rows, finding, part, _needs_groups(fit, candidate.parameters))
            training = _training(rows, finding, part)
            weighed = _weighed(training, candidate, seed)
            if weighed is None:
                found[finding] = _one_by_one(fit, training, candidate, options, seed)
            else:
                probes.check_labels(training.y, weighed.weights)
                weighings[finding] = weighed
        except FAILURES as error:
            found[finding] = error
    if weighings:
        try:
            found |= _together(rows, weighings, candidate, part, options)
        except FAILURES as error:
            found |= dict.fromkeys(weighings, error)
    return found


def _weighed(training: Training, candidate: Candidate, seed: int) -> Weighed | None:
    """Return the weights of the rows, or None if the mitigation does more than weigh them."""
    if candidate.mitigation not in WEIGHTINGS:
        return None
    weigh = registry.load(candidate.mitigation, WEIGHTINGS, kind="mitigation")
    found = weigh(training, parameters=candidate.parameters, rng=np.random.default_rng(seed))
    return found if isinstance(found, Weighed) else None


def _together(
    rows: Rows,
    weighings: Mapping[str, Weighed],
    candidate: Candidate,
    part: Round,
    options: Options,
) -> dict[str, list[Fitted] | Failure]:
    """Fit findings × penalties in one batch where that is worth it, and finish one by one."""
    penalties = sorted(options.penalties, reverse=True)
    batch = _batch(rows, weighings, penalties, part)
    found: dict[str, list[Fitted] | Failure] = {}
    for at, (finding, weighed) in enumerate(weighings.items()):
        training = _training(rows, finding, part)
        made: list[Fitted] = []
        try:
            for column, penalty in enumerate(penalties, at * len(penalties)):
                probe = made[-1].probe if made else None
                if batch is not None:
                    probe = batch.probe(column)
                    if probe.gradient_norm <= TOLERANCE:
                        made.append(told(Fitted(candidate.mitigation, probe), training, weighed))
                        continue
                    probe = probe if np.isfinite(probe.gradient_norm) else None
                one = solved(candidate.mitigation, training, weighed, penalty=penalty, start=probe)
                made.append(one)
            found[finding] = made
        except FAILURES as error:
            found[finding] = error
    return found


def _batch(
    rows: Rows, weighings: Mapping[str, Weighed], penalties: Sequence[float], part: Round
) -> probes.Fits | None:
    """Return the batch, or None where its columns or rows are too few to be worth it."""
    assessed = np.column_stack([rows.assessed(name, part.fit) for name in weighings])
    inside = assessed.any(axis=1)
    n, k = int(inside.sum()), len(weighings) * len(penalties)
    if k < _COLUMNS or n < _ROWS * rows.x.shape[1]:
        return None
    weights = np.zeros(assessed.shape)
    for at, weighed in enumerate(weighings.values()):
        weights[assessed[:, at], at] = weighed.weights
    labels = np.column_stack([rows.truth(name)[inside] for name in weighings])
    which = np.repeat(np.arange(len(weighings)), len(penalties))
    columns = probes.Columns(
        label=which,
        pattern=which,
        penalty=np.tile(penalties, len(weighings)),
        names=[f"{name}, penalty {penalty:g}" for name in weighings for penalty in penalties],
    )
    # One group: a Gram matrix of all rows precedes the descent of every column, whatever its
    # weights. Those of each subgroup would save a pass or two, and hold memory by their number.
    data = probes.Part(rows.x[inside], labels, weights[inside], np.zeros(n, dtype=np.int64))
    return probes.fit_batch(data, columns, tolerance=TOLERANCE, passes=_PASSES)


def _one_by_one(
    fit: Fit, training: Training, candidate: Candidate, options: Options, seed: int
) -> list[Fitted]:
    """Fit each penalty by itself, started from the one before."""
    found: list[Fitted] = []
    for penalty in sorted(options.penalties, reverse=True):
        fitted = fit(
            training,
            penalty=penalty,
            parameters=candidate.parameters,
            rng=np.random.default_rng(seed),
            start=found[-1].probe if found else None,
        )
        if not isinstance(fitted, Fitted):
            raise InvalidConfiguration(
                f"mitigation '{candidate.mitigation}' gives {type(fitted).__name__}; "
                "expected Fitted"
            )
        found.append(fitted)
    return found


def _training(rows: Rows, finding: str, part: Round) -> Training:
    inside = rows.assessed(finding, part.fit)
    return Training(
        rows.x[inside], rows.truth(finding)[inside], rows.groups[inside], rows.patients[inside]
    )


def _check(rows: Rows, finding: str, part: Round, needs_groups: bool) -> None:
    """Refuse, before any fit, a part of one label, and a group of one where groups are learned."""
    truth = rows.truth(finding)
    held, inside = rows.assessed(finding, part.validation), rows.assessed(finding, part.fit)
    _check_both(truth[held], finding, part.chosen_on)
    if needs_groups:
        _check_groups(truth[inside], rows.groups[inside], finding)


def _check_both(truth: npt.NDArray[np.bool_], finding: str, where: str) -> None:
    positive = int(truth.sum())
    if positive in {0, len(truth)}:
        raise InvalidTable(
            f"finding '{finding}': {where} has {positive} positives among {len(truth)} images; "
            "expected both labels"
        )


def _needs_groups(fit: Fit, parameters: Mapping[str, object]) -> bool:
    """Return whether a member learns from groups, as it declares; one of a study's own may."""
    declared = getattr(sys.modules.get(fit.__module__), "DECLARED", None)
    if not isinstance(declared, Declared):
        return True
    without = (
        bool(declared.without_groups) and declared.without_groups.items() <= parameters.items()
    )
    return declared.group_in_training and not without


def _check_groups(truth: npt.NDArray[np.bool_], groups: npt.NDArray[np.str_], finding: str) -> None:
    """Refuse a group of one class: what would be learned there is to tell the group."""
    for name in sorted(set(groups.tolist()) - {UNKNOWN}):
        own = truth[groups == name]
        positive = int(own.sum())
        if positive in {0, len(own)}:
            raise InvalidTable(
                f"finding '{finding}': group '{name}' has {positive} positives among {len(own)} "
                "images in training; a mitigation needs both labels in every group"
            )
