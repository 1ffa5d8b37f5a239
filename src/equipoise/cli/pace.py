"""How fast work goes and how long it will still take, in words."""

from collections.abc import Callable
from datetime import timedelta

EVERY_SECONDS = 60
"""Between two lines where the talk goes to a file and no bar can be drawn."""


def pace(done: int, total: int, seconds: float) -> str:
    """Return rate and time left; nothing before there is anything to go by.

    Parameters
    ----------
    done
        Since the clock was started.
    total
        What there was to do then; 0 if not known.
    seconds
        On the clock.

    Examples
    --------
    >>> pace(600, 6000, 60.0)
    '10.0/s, 0:09:00 left'
    >>> pace(0, 6000, 60.0)
    ''
    """
    if done <= 0 or seconds <= 0:
        return ""
    rate = done / seconds
    told = f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.1f}/s"
    if total < done:
        return told
    return f"{told}, {timedelta(seconds=round((total - done) / rate))} left"


class Pace:
    """Follows one piece of work: the rate is that since what is done was first told.

    Parameters
    ----------
    clock
        Returns seconds that only grow.

    Examples
    --------
    >>> seconds = iter([0.0, 10.0])
    >>> follow = Pace(lambda: next(seconds))
    >>> follow("images", 500, 1500), follow("images", 600, 1500)
    ('', '10.0/s, 0:01:30 left')
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._what = ""
        self._from = (0, 0.0)

    def __call__(self, what: str, done: int, total: int) -> str:
        """Return rate and time left of this piece of work; another piece starts the clock anew."""
        now = self._clock()
        if what != self._what or done < self._from[0]:
            self._what, self._from = what, (done, now)
        first, start = self._from
        return pace(done - first, max(total - first, 0), now - start)


class Lines:
    """Says at most once a minute how far work is, for a log in which no bar can be drawn.

    Parameters
    ----------
    say
        Prints a line.
    clock
        Returns seconds that only grow.

    Examples
    --------
    >>> seconds = iter([0.0, 0.0, 30.0, 30.0, 60.0, 60.0])
    >>> lines = Lines(print, lambda: next(seconds))
    >>> for done in (0, 300, 600):
    ...     lines("embed", "images", done, 6000)
    embed: images 600 of 6,000, 10.0/s, 0:09:00 left
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say, self._clock = say, clock
        self._pace = Pace(clock)
        self._last: float | None = None

    def __call__(self, node: str, what: str, done: int, total: int) -> None:
        """Take note of how far it is; speak if the last line is a minute old."""
        told = self._pace(what, done, total)
        now = self._clock()
        if self._last is None:
            self._last = now
        if now - self._last >= EVERY_SECONDS:
            self._last = now
            of = f" of {total:,}" if total else ""
            self._say(f"{node}: {what} {done:,}{of}" + (f", {told}" if told else ""))
