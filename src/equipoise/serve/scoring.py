"""From pixels to what a bundle answers, and from that to the line of the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.bundles import Bundle, components, distances, scores
from equipoise.errors import InvalidEncoder
from equipoise.serve.intake import Case, Refusal


@dataclass(frozen=True, slots=True)
class Decision:
    """A score called by a locked threshold.

    Parameters
    ----------
    finding, point
        Which finding, at which operating point.
    threshold
        An image is called positive at this score or above.
    positive
        Whether it is.
    """

    finding: str
    point: str
    threshold: float
    positive: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a bundle answers to one image.

    Parameters
    ----------
    case
        The image.
    refusal
        Why there is no score, or None.
    scores
        Finding → score, as it was stored offline (a float32); empty if refused.
    decisions
        One per finding and operating point; empty if refused.
    distance
        From the reference embeddings; None if the image was refused before, or there is none.
    components
        Where it lies among them.
    """

    case: Case
    refusal: Refusal | None
    scores: Mapping[str, float]
    decisions: tuple[Decision, ...]
    distance: float | None
    components: tuple[float, ...]


class Scorer:
    """Scores images with one bundle.

    Parameters
    ----------
    bundle
        The bundle.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._points = [
            (str(row["finding"]), str(row["operating_point"]), float(row["threshold"]))
            for row in bundle.operating_points.sort("finding", "operating_point").iter_rows(
                named=True
            )
        ]

    def outcomes(self, cases: Sequence[Case]) -> list[Outcome]:
        """Return what the bundle answers to each image, in one call of its encoder.

        Raises
        ------
        InvalidEncoder
            If a vector holds NaN or infinity.
        """
        pixels = [case.pixels for case in cases if case.pixels is not None]
        answers = iter(self._answers(pixels) if pixels else [])
        return [
            Outcome(case, case.refusal, {}, (), None, ())
            if case.pixels is None
            else self._outcome(case, *next(answers))
            for case in cases
        ]

    def _answers(
        self, pixels: Sequence[np.ndarray]
    ) -> list[tuple[dict[str, np.float32], float | None, tuple[float, ...]]]:
        bundle = self._bundle
        vectors = bundle.encoder.embed(np.stack(pixels))
        if not np.isfinite(vectors).all():
            raise InvalidEncoder(f"encoder '{bundle.encoder.name}': gave NaN or infinity")
        found = scores(bundle, vectors)
        n = len(pixels)
        far: list[float | None] = [None] * n
        parts: list[tuple[float, ...]] = [()] * n
        if bundle.reference is not None:
            far = [float(one) for one in distances(bundle, vectors)]
            parts = [tuple(float(p) for p in row) for row in components(bundle, vectors)]
        return [({name: s[i] for name, s in found.items()}, far[i], parts[i]) for i in range(n)]

    def _outcome(
        self,
        case: Case,
        found: Mapping[str, np.float32],
        distance: float | None,
        parts: tuple[float, ...],
    ) -> Outcome:
        limit = self._bundle.contract.distance_limit
        if limit is not None and (distance is None or not distance <= limit):
            sentence = (
                f"unlike the images the model was made on: distance {distance:.1f} from them; the "
                f"limit is {limit:.1f}"
                if distance is not None
                else "how far it is from the images the model was made on cannot be told"
            )
            why = Refusal("out_of_distribution", sentence)
            return Outcome(case, why, {}, (), distance, parts)
        # A threshold of 0.7 must catch the Float32 score that was stored from 0.7.
        decisions = tuple(
            Decision(finding, point, threshold, bool(found[finding] >= np.float32(threshold)))
            for finding, point, threshold in self._points
        )
        said = {name: float(score) for name, score in found.items()}
        return Outcome(case, None, said, decisions, distance, parts)


def logged(outcome: Outcome, digest: str) -> dict[str, object]:
    """Return the line of the log of one answer, but for its time: a row of *requests*.

    Parameters
    ----------
    outcome
        What was answered.
    digest
        The bundle's.
    """
    case, why = outcome.case, outcome.refusal
    row: dict[str, object] = {
        "case_id": case.case_id,
        "patient_key": case.patient_key,
        "bundle": digest,
        "outcome": "scored" if why is None else "refused",
    }
    if why is not None:
        row["refusal"] = why.code
    if outcome.distance is not None:
        row["distance"] = outcome.distance
    row |= {f"score:{name}": score for name, score in outcome.scores.items()}
    row |= {f"component:{i}": value for i, value in enumerate(outcome.components)}
    return {**row, **case.acquisition, **case.attributes}
