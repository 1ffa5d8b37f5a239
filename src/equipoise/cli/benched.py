"""What experiments found, as tables on a screen."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from equipoise.cli.showing import say, table, talk

if TYPE_CHECKING:
    import polars as pl


def shown(name: str, found: "pl.DataFrame") -> None:
    """Print what an experiment found, and why a group has no number.

    Parameters
    ----------
    name
        labels, sites, members or stages.
    found
        Its table.

    Examples
    --------
    Run by ``equipoise bench``; see ``tests/cli/test_benching.py``.
    """
    _SHOWN[name](found)
    for sentence in _lacking(found):
        say(sentence)


def _labels(found: "pl.DataFrame") -> None:
    for key, part in _parts(found):
        rows = [
            {
                "group": row["group"],
                "against": row["against"],
                "labels": f"{100.0 * row['fraction']:g} %",
                "patients": f"{row['labelled_patients']:.0f}",
                "value": _span(row, ("value", "low", "high"), signed=row["against"] is not None),
                "change from most": _span(row, ("change", "change_low", "change_high")),
                "runs": _runs(row),
            }
            for row in part.iter_rows(named=True)
        ]
        table(_frame(rows), f"{key}: by share of labels", right=["labels", "patients"])
    talk().print(
        "Intervals over patients and runs. A row with 'against' is a gap: the group less what it "
        "is held against. Patients: those whose labels were used, in training and validation.",
        soft_wrap=True,
    )


def _sites(found: "pl.DataFrame") -> None:
    for key, part in _parts(found):
        rows = [
            {
                "group": row["group"],
                "against": row["against"],
                "where trained": _span(row, ("value_in", "low_in", "high_in"), signed=gap),
                "elsewhere": _span(row, ("value_out", "low_out", "high_out"), signed=gap),
                "shift": _span(row, ("shift", "shift_low", "shift_high")),
                "runs": _runs(row),
            }
            for row, gap in zip(
                part.iter_rows(named=True), part["against"].is_not_null(), strict=True
            )
        ]
        table(_frame(rows), f"{key}: where it was trained, and elsewhere")
    talk().print(
        "Intervals over patients and runs. A row with 'against' is a gap: the group less what it "
        "is held against. Shift: elsewhere less where trained.",
        soft_wrap=True,
    )


def _ways(found: "pl.DataFrame") -> None:
    name = "way" if "way" in found.columns else "candidate"
    for (finding, metric), part in found.group_by(["finding", "metric"], maintain_order=True):
        quantities = _quantities(part)
        told = part.filter(part[name] == part.filter(part["first"].is_not_null())[name].head(1))
        plain = {what: _number(row["first"]) for what, row in _by_quantity(told, quantities)}
        rows: list[dict[str, object]] = [{name: "plain (value)", **plain}]
        keys = [name, *(["reference"] if "reference" in part.columns else [])]
        for own in part.partition_by(keys, maintain_order=True):
            spans = {
                what: _span(row, ("difference", "low", "high"))
                for what, row in _by_quantity(own, quantities)
            }
            against = own["reference"][0] if "reference" in keys else "plain"
            less = "" if against == "plain" else f" less {against}"
            rows.append({name: f"{own[name][0]}{less}", **spans})
        table(_frame(rows), f"{finding} · {metric}: difference from plain training")
    together = (
        "Intervals hold together for all rows of a finding"
        if name == "candidate"
        else "Intervals are of one number each; those of the worst group and of the largest "
        "contrast hold for whichever group that is"
    )
    talk().print(f"{together}, over patients and runs.", soft_wrap=True)


def _quantities(part: "pl.DataFrame") -> list[str]:
    """Return which quantities fit a screen: single groups only where they are two."""
    extremes = ["everybody", "worst group", "largest contrast"]
    few = part["group"].drop_nulls().n_unique() <= 2
    return ["group", "contrast", *extremes] if few else extremes


def _by_quantity(
    own: "pl.DataFrame", quantities: list[str]
) -> "Iterator[tuple[str, Mapping[str, float | None]]]":
    for row in own.iter_rows(named=True):
        words = {"group": f"{row['group']}", "contrast": f"{row['group']} less {row['against']}"}
        if row["quantity"] in quantities:
            yield words.get(row["quantity"], row["quantity"]), row


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _parts(found: "pl.DataFrame") -> "Iterator[tuple[str, pl.DataFrame]]":
    keys = ["finding", "candidate", "operating_point", "metric"]
    for key, part in found.group_by(keys, maintain_order=True):
        yield " · ".join(str(word) for word in key if word is not None), part


def _lacking(found: "pl.DataFrame") -> "Iterator[str]":
    """Yield why groups have no number, each reason once; a gap has none where its groups have none.

    Candidates and shares answer for the same patients, and lack the same.
    """
    lacking = found.filter(found["against"].is_null() & (found["status"] == "not assessable"))
    names = [n for n in ("finding", "metric", "quantity", "group", "reason") if n in found.columns]
    for row in lacking.unique(names, maintain_order=True).iter_rows(named=True):
        who = row["group"] or row.get("quantity")
        yield f"no number: {row['finding']}, {row['metric']}, {who}: {row['reason']}"


def _frame(rows: "list[dict[str, object]]") -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame(rows, infer_schema_length=None)


def _span(
    row: Mapping[str, float | None], names: tuple[str, str, str], *, signed: bool = True
) -> str | None:
    """Return a number and its limits; only what is a difference has a sign."""
    value, low, high = (row[name] for name in names)
    form = "+.3f" if signed else ".3f"
    return None if value is None else f"{value:{form}} ({low:{form}} to {high:{form}})"


def _runs(row: Mapping[str, object]) -> str:
    return f"{row['runs']}, {row['failed']} failed" if row["failed"] else str(row["runs"])


_SHOWN: Mapping[str, Callable[["pl.DataFrame"], None]] = {
    "labels": _labels,
    "sites": _sites,
    "members": _ways,
    "stages": _ways,
}
