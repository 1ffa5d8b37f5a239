"""Shares as bars: who is in the data."""

import polars as pl
from markupsafe import Markup

from equipoise.figures import rows, svg
from equipoise.figures.numbers import percent
from equipoise.words import Texts, say

_LEFT, _RIGHT = rows.LABELS + 10, 640.0
_SHARE, _PATIENTS, _IMAGES = 708.0, 790.0, 878.0
_STEP, _TALL = 27.0, 36.0


def bars(
    levels: pl.DataFrame,
    *,
    attribute: str,
    texts: Texts,
    total: int | None = None,
    identity: str = "bars",
) -> str:
    """Return a picture of the share of patients by level of one attribute.

    Parameters
    ----------
    levels
        A row per level: `level`, `n_patients`, `n_images`; null = not available.
    attribute
        The attribute's name.
    texts
        The words of the picture.
    total
        All patients; by default the sum over the levels. A patient with images in several levels
        counts in each, so that shares may add up to more than one.
    identity
        What the ids in the picture start with; differs between the pictures of a page.

    Returns
    -------
    An SVG, a bar per level in the order given; the level ``unknown`` is hatched.

    Examples
    --------
    >>> from equipoise.words import load
    >>> table = pl.DataFrame({"level": ["F"], "n_patients": [3], "n_images": [4]})
    >>> "100.0" in bars(table, attribute="sex", texts=load("en"))
    True
    """
    column = "n_patients" if levels["n_patients"].null_count() == 0 else "n_images"
    counted = sum(n for n in levels[column] if n) or 0
    whole = counted if total is None or column == "n_images" else total
    step = _TALL if any(rows.wraps(str(level), indent=12) for level in levels["level"]) else _STEP
    height = rows.TOP + step * levels.height + 4
    about = "; ".join(
        say(texts, "figure.bar_about", level=row["level"], share=_share(row[column], whole))
        for row in levels.iter_rows(named=True)
    )
    title = say(texts, "figure.bars_title", attribute=attribute.replace("_", " "))
    parts = svg.canvas(identity, rows.WIDTH, height, title=title, about=about)
    parts += [svg.tag("defs", svg.hatch(f"{identity}-hatch", svg.MUTED)), *_columns(texts, column)]
    for place, row in enumerate(levels.iter_rows(named=True)):
        parts += _bar(row, rows.TOP + step * (place + 0.5), whole, column, identity)
    return svg.close(parts)


def _bar(row: dict[str, object], y: float, total: int, column: str, identity: str) -> list[Markup]:
    level, n = str(row["level"]), row[column]
    part = n / total if isinstance(n, int) and total else 0.0
    width = max((_RIGHT - _LEFT) * part, 1.0)
    fill = f"url(#{identity}-hatch)" if level == "unknown" else svg.BLUE
    box = {"x": _LEFT, "y": y - 8, "height": 16.0}
    return [
        rows.label(level, y, indent=12),
        svg.tag("rect", fill="#eef1f4", width=_RIGHT - _LEFT, **box),
        svg.tag("rect", fill=fill, width=width, stroke=svg.MUTED, stroke_width=0.6, **box),
        rows.cell(_share(n, total), _SHARE, y),
        rows.cell(_whole(row["n_patients"]), _PATIENTS, y, muted=True),
        rows.cell(_whole(row["n_images"]), _IMAGES, y, muted=True),
    ]


def _columns(texts: Texts, column: str) -> list[Markup]:
    share = "figure.share_patients" if column == "n_patients" else "figure.share_images"
    heads = {share: _SHARE, "figure.patients": _PATIENTS, "figure.images": _IMAGES}
    return [rows.cell(say(texts, key), x, 12, size=12, muted=True) for key, x in heads.items()]


def _share(n: object, total: int) -> str:
    return percent(n / total) if isinstance(n, int) and total else percent(None)


def _whole(n: object) -> str:
    return f"{n:,}" if isinstance(n, int) else "–"
