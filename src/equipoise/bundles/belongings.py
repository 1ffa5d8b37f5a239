"""What a bundle names is its own: no path leads out of it, or to what its digest does not cover."""

from collections.abc import Mapping
from pathlib import Path

from equipoise.bundles.contents import Manifest
from equipoise.errors import AlteredEvidence, InvalidInput
from equipoise.tables import read_json

_PROBE = (".json", ".safetensors")
_FILES = ("path", "card")
"""Parameters of an encoder that name a file."""


def check_links(folder: Path, path: Path) -> None:
    """Refuse a link: what it leads to is not the bundle's, and may be another tomorrow.

    Raises
    ------
    InvalidInput
        If there is one.

    Examples
    --------
    >>> check_links(Path("nowhere"), Path("nowhere"))
    """
    for one in sorted(folder.rglob("*")):
        if one.is_symlink():
            raise InvalidInput(
                f"{path}: '{one.relative_to(folder).as_posix()}' is a link; expected files only",
                hint="copy the bundle with its files, as 'cp -L' does, or get it again",
            )


def check_own(folder: Path, manifest: Manifest, subjects: Mapping[str, str], path: Path) -> None:
    """Refuse a path to what the bundle's digest does not cover, within its folder or without.

    Parameters
    ----------
    folder
        The bundle.
    manifest
        What it says.
    subjects
        Its files → SHA-256.
    path
        Whose it is, for the message.

    Raises
    ------
    InvalidInput
        If a head or an encoder is none of its own files.
    """
    named = [
        (f"bundle.json: heads.{finding}.file", f"{head.file}{ending}", f"{head.file}{ending}")
        for finding, head in manifest.heads.items()
        if head.kind == "probe"
        for ending in _PROBE
    ]
    given = read_json(folder / "encoder" / "encoder.json").get("parameters")
    for key in _FILES:
        said = given.get(key) if isinstance(given, Mapping) else None
        if said is not None and not isinstance(said, Mapping):  # a card may be its fields
            named.append((f"encoder.json: parameters.{key}", f"{said}", f"encoder/{said}"))
    for place, said, name in named:
        if name not in subjects:
            raise InvalidInput(
                f"{path}: {place}: '{said}' is none of the bundle's own files; expected a path "
                "within it that its evidence names",
                hint="do not use this bundle: ask who made it",
            )


def check_verdict(manifest: Manifest, verdict: Mapping[str, object], path: Path) -> None:
    """Refuse a bundle that says two things of its verdict: one of them lets it be used.

    Raises
    ------
    AlteredEvidence
        If ``bundle.json`` and ``verdict.json`` differ.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> check_verdict(SimpleNamespace(verdict="pass"), {"verdict": "pass"}, Path("demo"))
    """
    if manifest.verdict != verdict.get("verdict"):
        raise AlteredEvidence(
            f"{path}: bundle.json says '{manifest.verdict}'; verdict.json says "
            f"'{verdict.get('verdict')}'",
            hint="do not use this bundle: ask who made it",
        )
