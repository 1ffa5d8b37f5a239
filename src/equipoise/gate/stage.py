"""The stage: estimates and a policy from disk, a verdict to disk."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from equipoise import policies, tables
from equipoise.scope import Scope


class Options(BaseModel):
    """By which policy is judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str | Mapping[str, object] = Field(
        description="The policy: a YAML file, or its content."
    )


def sources(options: Options, scope: Scope) -> dict[str, Path]:
    """Return the policy file, if there is one.

    Examples
    --------
    >>> sources(Options(policy="policy.yaml"), Scope())["policy"].as_posix()
    'policy.yaml'
    """
    return {"policy": scope.resolve(options.policy)} if isinstance(options.policy, str) else {}


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Judge the estimates of a run and write ``verdict.json`` and ``policy.json``.

    Parameters
    ----------
    options
        The policy.
    inputs
        The folder of *estimates*.
    out
        Gets ``verdict.json``, and ``policy.json``: what was judged by, as it was understood.
    scope
        From where a relative path starts.

    Raises
    ------
    InvalidConfiguration
        If the policy is not one.
    InvalidTable
        If the estimates break their contract.
    """
    if isinstance(options.policy, str):
        policy = policies.load(scope.resolve(options.policy))
    else:
        policy = policies.validated(options.policy)
    estimates = tables.read(inputs["estimates"] / "estimates.parquet", tables.ESTIMATES)
    judgement = policies.judge(estimates, policy)
    carried = _carried(inputs["estimates"])
    tables.write_json(out / "verdict.json", {**judgement.as_json(), **carried})
    tables.write_json(out / "policy.json", policy.model_dump(mode="json"))
    return {
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "exit_code": judgement.verdict.exit_code,
        "policy": dict(judgement.policy),
        **carried,
    }


def _carried(folder: Path) -> dict[str, object]:
    """Return digest and override of a bundle that was audited: they are shown with its verdict."""
    if not (folder / "audit.json").is_file():
        return {}
    said = tables.read_json(folder / "audit.json")
    return {name: said[name] for name in ("bundle", "override") if name in said}
