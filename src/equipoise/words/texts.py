"""The texts of one language: loaded, found by key, filled with values."""

import re
from collections.abc import Mapping
from importlib import resources

import yaml

from equipoise.errors import InvalidConfiguration, UnknownName, nearest

Texts = Mapping[str, Mapping[str, str]]
"""Section → name → text, with ``{placeholders}``."""

_FOLDER = "equipoise.words"
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{2,8})*")


def languages() -> list[str]:
    """Return the languages there are texts in, sorted.

    Examples
    --------
    >>> "en" in languages()
    True
    """
    files = (entry.name for entry in resources.files(_FOLDER).iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def load(language: str = "en", *, unit: str = "patient") -> Texts:
    """Return the texts of one language, with ``{units}`` filled in.

    Parameters
    ----------
    language
        A language tag, as ``"en"``: the name of a file beside this module.
    unit
        What a patient id stands for, as ``"lesion"``: then no sentence counts patients.

    Raises
    ------
    UnknownName
        If there are no texts in that language; the known ones are listed.

    Examples
    --------
    >>> load("en")["verdict"]["fail"]
    'Fail'
    >>> load("en", unit="lesion")["figure"]["patients"]
    'lesion units'
    >>> load("xx")
    Traceback (most recent call last):
        ...
    equipoise.errors.UnknownName: no words in the language 'xx'; known languages: en
    """
    known = languages()
    if language not in known or not _LANGUAGE.fullmatch(language):
        raise UnknownName(
            f"no words in the language '{language}'; known languages: {', '.join(known)}",
            hint=nearest(language, known),
        )
    content = yaml.safe_load(
        resources.files(_FOLDER).joinpath(f"{language}.yaml").read_text(encoding="utf-8")
    )
    return _with_units(_checked(content, language), unit)


def say(texts: Texts, key: str, **values: object) -> str:
    """Return the text of a key, its placeholders filled.

    Parameters
    ----------
    texts
        What `load` gave.
    key
        ``"section.name"``.
    **values
        What stands in the placeholders. Braces in a value are left alone.

    Raises
    ------
    UnknownName
        If there is no such text.
    InvalidConfiguration
        If a placeholder has no value.

    Examples
    --------
    >>> say({"page": {"n": "n = {n}"}}, "page.n", n=3)
    'n = 3'
    """
    section, _, name = key.partition(".")
    if name not in texts.get(section, {}):
        known = [f"{s}.{n}" for s, part in texts.items() for n in part]
        raise UnknownName(f"words: no text '{key}'", hint=nearest(key, known))
    try:
        return texts[section][name].format(**values)
    except (KeyError, IndexError, ValueError) as error:
        raise InvalidConfiguration(
            f"words: text '{key}' wants {error}; got {sorted(values)}"
        ) from error


def named(texts: Texts, section: str, name: str) -> str:
    """Return the text for a name that occurs in data, or the name itself if there is none.

    Examples
    --------
    >>> texts = {"metric": {"auroc": "AUROC"}}
    >>> named(texts, "metric", "auroc"), named(texts, "metric", "kappa")
    ('AUROC', 'kappa')
    """
    return texts.get(section, {}).get(name.replace(" ", "_"), name)


def _with_units(texts: Texts, unit: str) -> Texts:
    key = "group.one_of_us" if unit == "patient" else "group.stand_in"
    phrase = say(texts, key, unit=unit).replace("{", "{{").replace("}", "}}")
    return {
        section: {name: text.replace("{units}", phrase) for name, text in part.items()}
        for section, part in texts.items()
    }


def _checked(content: object, language: str) -> Texts:
    if not isinstance(content, dict):
        raise InvalidConfiguration(f"words: {language}.yaml holds no sections")
    for section, part in content.items():
        if not isinstance(part, dict):
            raise InvalidConfiguration(f"words: section '{section}' of {language}.yaml is no map")
        for name, text in part.items():
            if not isinstance(name, str) or not isinstance(text, str):
                raise InvalidConfiguration(
                    f"words: '{section}.{name}' of {language}.yaml is "
                    f"{type(text).__name__}; expected text"
                )
    return content
