"""The evidence that came along: what the bundle holds is what its stages say they made.

A bundle's own statement can be written anew by whoever changes a file; the statements of the
stages that led to it would then no longer agree with each other. Nothing is signed yet.
"""

from collections.abc import Mapping
from pathlib import Path

from equipoise.errors import AlteredEvidence
from equipoise.evidence import digest
from equipoise.tables import read_json

_MADE = {"verdict.json": "gate", "policy.json": "gate"}
_HANDED = {"gate": "audit", "audit": "adapt", "adapt": "embed"}


def check_chain(folder: Path, subjects: Mapping[str, str], where: str) -> None:
    """Refuse a bundle whose files or stages do not agree.

    Parameters
    ----------
    folder
        The bundle.
    subjects
        Its files → SHA-256.
    where
        Whose it is, for the message.

    Raises
    ------
    AlteredEvidence
        If verdict, policy or a probe is not what its stage made, or a stage was not given what
        the one before it made.

    Examples
    --------
    >>> check_chain(Path("nowhere"), {}, "demo")
    """
    said = {path.stem: read_json(path) for path in sorted((folder / "chain").glob("*.json"))}
    made = {stage: _digests(content.get("subject")) for stage, content in said.items()}
    for name, stage in _MADE.items():
        if stage in made and subjects.get(name) != made[stage].get(name):
            raise AlteredEvidence(f"{where}: {name} is not the one that its {stage} made")
    probes = [name for name in subjects if name.startswith("probes/")]
    for name in probes:
        if "adapt" in made and subjects[name] not in made["adapt"].values():
            raise AlteredEvidence(f"{where}: {name} is none that its adapt made")
    for stage, before in _HANDED.items():
        if stage in said and before in made:
            predicate = said[stage].get("predicate")
            inputs = predicate.get("inputs") if isinstance(predicate, dict) else None
            if digest(made[before]) not in _digests(inputs).values():
                raise AlteredEvidence(f"{where}: its {stage} was not given what its {before} made")


def _digests(entries: object) -> dict[str, str]:
    listed = entries if isinstance(entries, list) else []
    return {str(entry["name"]): str(entry["digest"]["sha256"]) for entry in listed}
