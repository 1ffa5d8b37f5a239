"""From the bytes of a request to the bytes of its answer: decode, score, log, and only then answer.

Three places work at once: decoders, encoder threads, and the event loop that talks to callers.
"""

import asyncio
import datetime as dt
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from equipoise.bundles import Bundle, check_in_force
from equipoise.errors import EquipoiseError, InvalidEncoder, InvalidTable
from equipoise.serve.answers import answer, model_of
from equipoise.serve.asking import Asked, levels
from equipoise.serve.batching import Batcher
from equipoise.serve.intake import Case, Intake
from equipoise.serve.keys import SiteKey
from equipoise.serve.meters import Meters
from equipoise.serve.options import Options
from equipoise.serve.scoring import Outcome, Scorer, logged
from equipoise.tables import RequestLog

_REST = 10.0
"""So long after a failed write the service says that it is not ready (seconds)."""


@dataclass(slots=True)
class _Job:
    """A request on its way through the threads."""

    content: bytes
    asked: Asked
    future: asyncio.Future[bytes]
    loop: asyncio.AbstractEventLoop
    case: Case | None = None


class Service:
    """One bundle, served.

    Parameters
    ----------
    bundle
        The bundle; its encoder should be loaded with one thread, since `options.threads` calls of
        it run at once.
    log
        Where each answer is written before it is given.
    key
        Makes pseudonyms.
    options
        What is taken.
    clock
        The time (UTC).
    ticks
        Seconds that never go back.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        log: RequestLog,
        key: SiteKey,
        options: Options,
        clock: Callable[[], dt.datetime],
        ticks: Callable[[], float],
    ) -> None:
        self.bundle, self.options, self.ticks = bundle, options, ticks
        self.attributes = levels(bundle.audit)
        self._log, self._clock = log, clock
        self._intake = Intake(bundle, key, most_pixels=options.maximum_pixels)
        self._scorer = Scorer(bundle)
        self._model: dict[str, object] = model_of(bundle).model_dump(mode="json")
        self._guard = threading.Lock()
        self._failed_at: float | None = None
        self.stopping = False
        self._decoders = ThreadPoolExecutor(options.decoders, "decoder")
        self._batcher: Batcher[_Job, bytes | BaseException] = Batcher(
            self._work, self._settle, threads=options.threads, most=options.batch
        )
        self.meters = Meters(
            f"{bundle.name}@{bundle.digest[:12]}",
            self.attributes,
            minimum=options.minimum_group,
            window=options.window_seconds,
            clock=ticks,
            waiting=self._batcher.__len__,
        )

    async def answered(self, content: bytes, asked: Asked) -> bytes:
        """Return the JSON of an answer, which stands in the log by then.

        Raises
        ------
        StorageFailure
            If it cannot be logged.
        Refused
            If the bundle's override has run out.
        InvalidEncoder, InvalidTable
            If the model gives no number.
        """
        loop = asyncio.get_running_loop()
        job = _Job(content, asked, loop.create_future(), loop)
        self._decoders.submit(self._decode, job)
        return await job.future

    def not_ready(self) -> str | None:
        """Return why no request can be taken, or None."""
        if self.stopping:
            return "stopping"
        if self._failed_at is not None and self.ticks() - self._failed_at < _REST:
            return "the log cannot be written"
        override = self.bundle.override
        if override is not None and self._clock().date() > override.expires:
            return "the override has expired"
        return None

    def close(self) -> None:
        """Finish what was begun, and bring the log to the disk."""
        self.stopping = True
        self._decoders.shutdown(wait=True)
        self._batcher.close()
        self._log.close()

    def _decode(self, job: _Job) -> None:
        try:
            job.case = self._intake.case(job.content, job.asked)
        except BaseException as error:
            self._settle(job, error)
            raise
        job.content = b""
        self._batcher.put(job)

    def _work(self, jobs: Sequence[_Job]) -> Sequence[bytes | BaseException]:
        self.meters.batched(len(jobs))
        cases = [job.case for job in jobs if job.case is not None]
        try:
            outcomes = self._scorer.outcomes(cases)
        except (InvalidEncoder, InvalidTable) as error:
            if len(jobs) == 1:
                return [error]
            # One image that makes NaN must not take its neighbours along.
            return [self._work([job])[0] for job in jobs]
        try:
            at = self._written(outcomes)
        except EquipoiseError as error:
            return [error] * len(jobs)
        for outcome in outcomes:
            self.meters.answered(outcome)
        return [json.dumps(answer(one, at, self._model)).encode() for one in outcomes]

    def _written(self, outcomes: Sequence[Outcome]) -> dt.datetime:
        """Log a batch, and return when: in the log, times stand in the order of the lines."""
        digest = self.bundle.digest
        with self._guard:
            at = self._clock()
            check_in_force(self.bundle.override, on=at.date(), name=self.bundle.name)
            try:
                self._log.append([(at, logged(one, digest)) for one in outcomes])
            except EquipoiseError:
                self._failed_at = self.ticks()
                raise
            self._failed_at = None
        return at

    def _settle(self, job: _Job, result: bytes | BaseException) -> None:
        job.loop.call_soon_threadsafe(_set, job.future, result)


def _set(future: asyncio.Future[bytes], result: bytes | BaseException) -> None:
    if future.done():  # the caller went away
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
