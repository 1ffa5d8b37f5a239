"""Numbers as they are read: a fixed number of places, a real minus sign, limits in brackets."""

from equipoise.figures.spans import Limits

_HUGE = 1e6


def plain(value: float | None, *, places: int = 3) -> str:
    """Return a number with fixed places, or a dash where there is none.

    From a million on, with three figures and a power of ten.

    Examples
    --------
    >>> plain(0.5), plain(-0.25), plain(None), plain(12345678.0)
    ('0.500', '−0.250', '–', '1.23e+07')
    """
    if value is None:
        return "–"
    text = f"{value:.{places}f}" if abs(value) < _HUGE else f"{value:.3g}"
    zero = float(text) == 0
    return text.lstrip("-") if zero else text.replace("-", "−")


def signed(value: float | None, *, places: int = 3) -> str:
    """Return a difference with its sign.

    Examples
    --------
    >>> signed(0.5), signed(-0.25), signed(0.0001)
    ('+0.500', '−0.250', '0.000')
    """
    text = plain(value, places=places)
    return f"+{text}" if value is not None and value > 0 and float(text) > 0 else text


def bracketed(value: float | None, limits: Limits | None, *, places: int = 3) -> str:
    """Return a value with its limits.

    Examples
    --------
    >>> bracketed(0.5, (0.25, 0.75), places=2)
    '0.50 [0.25, 0.75]'
    """
    if limits is None:
        return plain(value, places=places)
    low, high = (plain(bound, places=places) for bound in limits)
    return f"{plain(value, places=places)} [{low}, {high}]"


def signed_bracketed(value: float | None, limits: Limits | None, *, places: int = 3) -> str:
    """Return a difference with its limits, all with their signs.

    Examples
    --------
    >>> signed_bracketed(-0.5, (-0.75, 0.25), places=2)
    '−0.50 [−0.75, +0.25]'
    """
    if limits is None:
        return signed(value, places=places)
    low, high = (signed(bound, places=places) for bound in limits)
    return f"{signed(value, places=places)} [{low}, {high}]"


def percent(part: float | None, *, places: int = 1) -> str:
    r"""Return a share in per cent, or a dash.

    Examples
    --------
    >>> percent(0.1234)
    '12.3\xa0%'
    """
    return "–" if part is None else f"{plain(100 * part, places=places)}\N{NO-BREAK SPACE}%"
