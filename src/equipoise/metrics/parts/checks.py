"""What counts cannot be: a part that sends an impossible table is refused by name."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.metrics.parts.agreements import Agreed
from equipoise.metrics.parts.merging import check_head
from equipoise.metrics.parts.messages import CELLS, PEOPLE, Counts, Merged, Part, shapes
from equipoise.metrics.parts.relations import inclusions, unions

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]

_MOST = 2**61
"""No count comes near it; sums of a few stay whole."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """What somebody sent, and how to say where in it something is wrong."""

    name: str
    counts: Counts
    told: Flags
    agreed: Agreed

    def equal(self, found: Numbers, right: Numbers, of: Integers, words: tuple[str, str]) -> None:
        """Refuse the first row and arm where two arrays ``(rows, arms)`` differ."""
        self.expect(found == right, (found, right), of, words)

    def most(self, found: Numbers, right: Numbers, of: Integers, words: tuple[str, str]) -> None:
        """Refuse the first row and arm where one array is more than another."""
        self.expect(found <= right, (found, right), of, words)

    def expect(
        self, fine: Flags, both: tuple[Numbers, Numbers], of: Integers, words: tuple[str, str]
    ) -> None:
        """Refuse the first row and arm that are not fine; `of` says of which finding a row is."""
        if fine.all():
            return
        row, arm = (int(place[0]) for place in np.nonzero(~fine))
        found, expected = (
            text.format(numbers[row, arm]) for text, numbers in zip(words, both, strict=True)
        )
        self.refuse(int(of[row]), self.agreed.compared.names[arm], found, expected)

    def refuse(self, finding: int, where: str, found: str, expected: str) -> None:
        raise InvalidTable(
            f"parts: '{self.name}': finding '{self.agreed.findings[finding]}', {where}: {found}; "
            f"expected {expected}"
        )


def check_part(part: Part, agreed: Agreed) -> None:
    """Raise if a part's counts cannot be those of any images.

    Raises
    ------
    InvalidTable
        Naming the part, the table, the subgroup, what was found and what was expected.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import first, population_of
    >>> import polars as pl
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> part = first(population_of(pl.DataFrame({"sex": ["F"]}), agreed, patient=None), agreed,
    ...              name="site-2")
    >>> part.counts.people[0, 0, 1] = 7
    >>> check_part(part, agreed)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: parts: 'site-2': finding 'x', sex=F: 0 positives and \
negatives; expected 7 images
    """
    check_head(part.name, part.head, agreed)
    _check_arrays(part.name, part.counts, agreed)
    _check_flags(part.name, "withheld", part.withheld, part.counts.people.shape[1:])
    sent = _Sent(part.name, part.counts, ~part.withheld, agreed)
    of, nothing = np.arange(len(agreed.findings)), np.zeros_like(part.counts.of("images"))
    images = np.where(part.withheld, part.counts.of("images"), 0)
    sent.equal(images, nothing, of, ("{} images although it is withheld", "{}"))
    _check_counts(sent, clustered=part.clustered)
    for name in ("patients_positive", "patients_negative"):
        n, least = part.counts.of(name), np.full_like(nothing, agreed.rules.minimum_cell)
        words = f"{{}} {name.replace('_', ' ')}, below the minimum cell", "none, or {} or more"
        sent.expect((n == 0) | (n >= least), (n, least), of, words)


def check_merged(merged: Merged, agreed: Agreed, *, name: str) -> None:
    """Raise if merged counts cannot be those of any images.

    Raises
    ------
    InvalidTable
        As for `check_part`.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import first, merge, population_of
    >>> import polars as pl
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> people = population_of(pl.DataFrame({"sex": ["F"]}), agreed, patient=None)
    >>> merged = merge([first(people, agreed, name="site-1")], agreed, disjoint_patients=True)
    >>> check_merged(merged, agreed, name="the server")
    """
    check_head(name, merged.head, agreed)
    _check_arrays(name, merged.counts, agreed)
    shape = (len(merged.names), *merged.counts.people.shape[1:])
    for what, flags in (("withheld", merged.withheld), ("told", merged.told)):
        _check_flags(name, what, flags, shape)
    if (merged.withheld & merged.told).any():
        raise InvalidTable(f"parts: '{name}': a part both told and withheld an arm; expected one")
    # Arms of other parts do not add up to each other; the cells of each arm still must.
    told = ~merged.few(agreed) & ~merged.withheld.any(axis=0)
    _check_counts(_Sent(name, merged.counts, told, agreed), clustered=merged.clustered)


def _check_arrays(name: str, counts: Counts, agreed: Agreed) -> None:
    for array, shape in shapes(agreed).items():
        found = getattr(counts, array)
        if found.dtype != np.int64 or found.shape != shape:
            raise InvalidTable(
                f"parts: '{name}': array '{array}' is {found.dtype} {found.shape}; expected "
                f"int64 {shape}"
            )
        if found.size and not 0 <= found.min() <= found.max() < _MOST:
            bad = found[(found < 0) | (found >= _MOST)]
            raise InvalidTable(
                f"parts: '{name}': array '{array}' holds {bad.size} numbers that count nothing, "
                f"as {bad.flat[0]}; expected 0 or more, below 2^61"
            )


def _check_flags(name: str, what: str, flags: Flags, shape: tuple[int, ...]) -> None:
    if flags.dtype != np.bool_ or flags.shape != shape:
        raise InvalidTable(
            f"parts: '{name}': array '{what}' is {flags.dtype} {flags.shape}; expected bool {shape}"
        )


def _check_counts(sent: _Sent, *, clustered: bool) -> None:
    _check_labels(sent)
    _check_patients(sent, clustered=clustered)
    _check_confusion(sent)
    _check_questions(sent)
    _check_arms(sent)


def _check_labels(sent: _Sent) -> None:
    of, n = np.arange(len(sent.agreed.findings)), {name: sent.counts.of(name) for name in PEOPLE}
    both = n["positive"] + n["negative"]
    sent.equal(both, n["images"], of, ("{} positives and negatives", "{} images"))
    for label, name in enumerate(("negative", "positive")):
        total = sent.counts.histogram[:, label].sum(axis=2)
        sent.equal(total, n[name], of, (f"a histogram of {{}} {name}s", f"{{}} {name}s"))


def _check_patients(sent: _Sent, *, clustered: bool) -> None:
    of, n = np.arange(len(sent.agreed.findings)), {name: sent.counts.of(name) for name in PEOPLE}
    for patients, images in (
        ("patients", "images"),
        ("patients_positive", "positive"),
        ("patients_negative", "negative"),
    ):
        said = patients.replace("_", " ")
        words = f"{{}} {said}", f"at most {{}}, as many as images ({images})"
        if not clustered:
            sent.equal(n[patients], n[images], of, (f"{{}} {said}", "{}, one per image"))
        sent.most(n[patients], n[images], of, words)
        some = (n[patients] > 0) == (n[images] > 0)
        words = f"{{}} {said}", f"some, since images ({images}) are {{}}"
        sent.expect(some, (n[patients], n[images]), of, words)
    either = np.maximum(n["patients_positive"], n["patients_negative"])
    words = "{} patients with a positive, or with a negative", "at most {}, as many as patients"
    sent.most(either, n["patients"], of, words)
    both = n["patients_positive"] + n["patients_negative"]
    words = "{} patients", "at most {}, those with a positive and those with a negative"
    sent.most(n["patients"], both, of, words)


def _check_confusion(sent: _Sent) -> None:
    of = np.array([position for position, _ in sent.agreed.named_points], dtype=np.int64)
    cells = {name: sent.counts.confusion[:, row] for row, name in enumerate(CELLS)}
    for name, first, second in (("positive", "tp", "fn"), ("negative", "tn", "fp")):
        total, n = cells[first] + cells[second], sent.counts.of(name)[of]
        sent.equal(total, n, of, (f"{first} + {second} = {{}}", f"{{}} {name}s"))


def _check_questions(sent: _Sent) -> None:
    """Hold patients with trials against trials, and sums of losses against images."""
    asked = sent.agreed.questions
    of = np.array([position for position, _, _ in asked], dtype=np.int64)
    trials, mean = (
        np.zeros_like(sent.counts.trial_patients),
        np.zeros(sent.counts.trial_patients.shape),
    )
    for at, (position, metric, point) in enumerate(asked):
        if point is not None:
            chosen = [CELLS.index(name) for name in metric.trials]
            trials[at] = sent.counts.confusion[point][chosen].sum(axis=0)
        elif metric.loss is not None:
            mean[at] = sent.counts.of("images")[position]
    n = sent.counts.trial_patients
    sent.most(n, trials, of, ("{} patients with trials", "at most {}, as many as trials"))
    people = sent.counts.of("patients")[of]
    sent.most(n, people, of, ("{} patients with trials", "at most {}, as many as patients"))
    words = "{} patients with trials", "some, since the trials are {}"
    sent.expect((n > 0) == (trials > 0), (n, trials), of, words)
    words = "a loss of {} in all", "at most {}, one an image"
    sent.most(sent.counts.losses(), mean, of, words)


def _check_arms(sent: _Sent) -> None:
    """Hold each arm against those that it is in and those that it is made of."""
    inner, outer = inclusions(sent.agreed)
    whole = unions(sent.agreed)
    for what, finding, rows in _tables(sent):
        told, names = sent.told[finding], sent.agreed.compared.names
        pairs = told[inner] & told[outer]
        more = pairs & (rows[inner] > rows[outer]).any(axis=1)
        if more.any():
            at = int(np.argmax(more))
            place = f"more {what} than in {names[outer[at]]}"
            sent.refuse(finding, names[inner[at]], place, "no more")
        if "patients" in what:
            continue
        for arm, members in whole:
            total = rows[members].sum(axis=0)
            if told[arm] and told[members].all() and (total != rows[arm]).any():
                found = f"{what} that are not those of {', '.join(names[m] for m in members)}"
                sent.refuse(finding, names[arm], found, "their sum")


def _tables(sent: _Sent) -> Iterator[tuple[str, int, Numbers]]:
    """Yield each table of one finding in words, the finding, and numbers ``(arms, columns)``."""
    counts = sent.counts
    for finding in range(len(sent.agreed.findings)):
        for name in PEOPLE:
            yield name.replace("_", " "), finding, counts.of(name)[finding][:, None]
        for label, name in enumerate(("negatives", "positives")):
            yield f"{name} in a bin", finding, counts.histogram[finding, label]
    for at, (finding, name) in enumerate(sent.agreed.named_points):
        yield f"tp, fp, tn, fn at {name}", finding, counts.confusion[at].T
    for at, (finding, metric, point) in enumerate(sent.agreed.questions):
        if point is not None:
            yield (
                f"patients with trials of {metric.name}",
                finding,
                counts.trial_patients[at][:, None],
            )
        elif metric.loss is not None:
            yield f"loss of {metric.name}", finding, counts.loss[at].T
