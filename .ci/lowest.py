"""Prints the lowest versions that pyproject.toml allows, as requirements for pip."""

import tomllib
from pathlib import Path

project = tomllib.loads(
    (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
)["project"]
print("\n".join(line.replace(">=", "==") for line in project["dependencies"]))
