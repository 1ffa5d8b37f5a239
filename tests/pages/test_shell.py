"""What every page has: the shell, the parts, and that nothing from data becomes markup."""

import jinja2
import pytest

from equipoise import pages, words
from tests.report.pages import seen

PAGE = """{% from 'shell.html.jinja' import head, foot %}
{% from 'parts.html.jinja' import facts, records, status %}
{{ head('en', title) }}<main id="main">{{ status('fail') }}{{ facts({title: title}) }}
{{ records([{title: title}], title) }}</main>
{{ foot() }}"""
HOSTILE = """<script>alert("x")</script>' onload="y" &amp; {{ 7*7 }}"""


def test_a_page_of_shell_and_parts_is_whole_and_escapes_every_string():
    made = pages.environment("equipoise.report", words.load()).from_string(PAGE)
    page = seen(made.render(title=HOSTILE))
    assert page.unclosed == []
    assert page.all("script") == []
    assert {e.tag for e in page.elements if HOSTILE in e.text} >= {"title", "dt", "dd", "th"}


def test_a_name_that_was_not_given_is_an_error_not_an_empty_place():
    made = pages.environment("equipoise.report", words.load()).from_string("{{ nothing }}")
    with pytest.raises(jinja2.UndefinedError, match="nothing"):
        made.render()
