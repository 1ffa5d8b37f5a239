"""What Prometheus may see: counts and times, by declared group where there are enough of it."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from equipoise.serve.disclosure import Cell, Ledger
from equipoise.serve.scoring import Outcome

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily
    from prometheus_client.metrics_core import Metric

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Meters:
    """Counts what happens.

    Parameters
    ----------
    model
        The label that names the bundle.
    attributes
        Attribute → its declared levels.
    minimum
        The fewest new requests of a group that are shown.
    window
        Counts of groups change at most this often (seconds).
    clock
        Seconds, from any start.
    waiting
        How many requests wait for the encoder.
    """

    def __init__(
        self,
        model: str,
        attributes: Mapping[str, Sequence[str]],
        *,
        minimum: int,
        window: float,
        clock: Callable[[], float],
        waiting: Callable[[], int],
    ) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._model, self._window, self._clock = model, window, clock
        self._guard = threading.Lock()
        self._ledger = Ledger(attributes, minimum)
        self._released = clock()
        self.registry: CollectorRegistry = CollectorRegistry()
        self._requests = Counter(
            "equipoise_requests",
            "Requests by HTTP status.",
            ["model", "status"],
            registry=self.registry,
        )
        self._answers = Counter(
            "equipoise_answers",
            "Images scored or refused.",
            ["model", "outcome", "reason"],
            registry=self.registry,
        )
        self._decisions = Counter(
            "equipoise_decisions",
            "Images called by a locked threshold.",
            ["model", "finding", "operating_point", "called"],
            registry=self.registry,
        )
        seconds = Histogram(
            "equipoise_request_seconds",
            "From the first byte to the answer.",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._seconds = seconds.labels(model)
        sizes = Histogram(
            "equipoise_batch_images",
            "Images in one call of the encoder.",
            ["model"],
            buckets=_SIZES,
            registry=self.registry,
        )
        self._sizes = sizes.labels(model)
        depth = Gauge(
            "equipoise_waiting",
            "Images that wait for the encoder.",
            ["model"],
            registry=self.registry,
        )
        depth.labels(model).set_function(waiting)
        self.registry.register(_Groups(self))

    def answered(self, outcome: Outcome) -> None:
        """Count one answer: an image was scored or refused."""
        why = outcome.refusal
        kind, reason = ("scored", "") if why is None else ("refused", why.code)
        self._answers.labels(self._model, kind, reason).inc()
        cells: list[Cell] = [("answers", kind)]
        for one in outcome.decisions:
            called = "positive" if one.positive else "negative"
            self._decisions.labels(self._model, one.finding, one.point, called).inc()
            cells.append(("decisions", one.finding, one.point, called))
        with self._guard:
            self._ledger.add(outcome.case.attributes, cells)

    def batched(self, n: int) -> None:
        """Count one call of the encoder."""
        self._sizes.observe(n)

    def finished(self, status: int, seconds: float) -> None:
        """Count one request, whatever came of it."""
        self._requests.labels(self._model, str(status)).inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        from prometheus_client import generate_latest

        found: bytes = generate_latest(self.registry)
        return found

    def groups(self) -> "Iterator[CounterMetricFamily]":
        """Give the counts of groups that may be shown; a group held back stands where it stood."""
        from prometheus_client.core import CounterMetricFamily

        with self._guard:
            if self._clock() - self._released >= self._window:
                self._ledger.release()
                self._released = self._clock()
            shown = [(group, dict(cells)) for group, cells in self._ledger.shown.items()]
        answers = CounterMetricFamily(
            "equipoise_group_answers",
            "Images by declared group; held back until there are enough new ones.",
            labels=["model", "attribute", "level", "outcome"],
        )
        decisions = CounterMetricFamily(
            "equipoise_group_decisions",
            "Decisions by declared group; held back until there are enough new ones.",
            labels=["model", "attribute", "level", "finding", "operating_point", "called"],
        )
        for (attribute, level), cells in shown:
            here = [self._model, attribute, level]
            for outcome in ("scored", "refused"):
                answers.add_metric([*here, outcome], cells.get(("answers", outcome), 0))
            for cell, n in cells.items():
                if cell[0] == "decisions":
                    decisions.add_metric([*here, *cell[1:]], n)
        yield answers
        yield decisions


class _Groups:
    """What prometheus_client asks for the counts of groups."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def collect(self) -> "Iterator[Metric]":
        yield from self._meters.groups()

    def describe(self) -> "list[Metric]":
        return []
