"""The environment in which the templates of a page are filled in."""

from collections.abc import Callable, Mapping
from functools import partial

import jinja2

from equipoise import figures
from equipoise.pages import cells
from equipoise.words import Texts, named, say

Tool = Callable[..., object] | Mapping[str, str]


def environment(
    package: str, texts: Texts, tools: Mapping[str, Tool] | None = None
) -> jinja2.Environment:
    """Return what renders the templates of a package, with the shell and the parts of every page.

    Beside its own templates a page finds ``shell.html.jinja`` (`head`, `foot`) and
    ``parts.html.jinja`` (`status`, `empty`, `scroll`, `records`, `facts`). Every string is escaped
    unless it is markup; a name that was not given is an error.

    Parameters
    ----------
    package
        The package whose folder ``templates`` holds the page, as ``"equipoise.report"``.
    texts
        The words.
    tools
        What its templates call, beside what every page has.

    Examples
    --------
    >>> from equipoise import words
    >>> made = environment("equipoise.report", words.load())
    >>> made.from_string("{{ thousands(n) }} {{ text }}").render(n=1234, text="<b>")
    '1,234 &lt;b&gt;'
    """
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader(package, "templates"),
                jinja2.PackageLoader("equipoise.pages", "templates"),
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(_shared(texts) | dict(tools or {}))
    return made


def _shared(texts: Texts) -> dict[str, Tool]:
    return {
        "say": partial(say, texts),
        "named": partial(named, texts),
        "plain": figures.plain,
        "signed": figures.signed,
        "percent": figures.percent,
        "symbols": figures.SYMBOLS,
        "group_name": partial(cells.group_name, texts=texts),
        "spaced": partial(cells.spaced, texts=texts),
        "cell_text": partial(cells.cell_text, texts=texts),
        "thousands": cells.thousands,
        "is_digest": cells.is_digest,
        "columns_of": cells.columns_of,
        "without_parts": cells.without_parts,
    }
