"""What cannot be watched as it is: each is refused with the case, the day and what was expected."""

import datetime as dt

import polars as pl
import pytest

from equipoise import monitor
from equipoise.errors import AlteredEvidence, InvalidConfiguration, InvalidInput, InvalidTable
from equipoise.scope import Scope
from tests.bundles import made as tiny
from tests.monitor import made


@pytest.fixture(scope="module")
def drawn(bundle):
    return made.cases(bundle, months=2, a_month=30)


def test_a_log_of_another_bundle(place, drawn, tmp_path):
    rows, _ = drawn
    log = made.write_log(tmp_path / "log", [{**r, "bundle": "b" * 64} for r in rows], "b" * 64)
    with pytest.raises(InvalidInput, match="is the log of bundle bbbbbbbbbbbbbbbb; expected"):
        monitor.run(monitor.Options(bundle=str(place), log=str(log)), {}, tmp_path, Scope())


@pytest.mark.slow
def test_a_bundle_whose_digest_does_not_match(drawn, tmp_path):
    place = tiny.bundle(tmp_path / "altered")
    (place / "model_card.md").write_text("# better\n")
    with pytest.raises(AlteredEvidence, match=r"model_card\.md"):
        monitor.run(monitor.Options(bundle=str(place), log="x"), {}, tmp_path, Scope())


def test_labels_of_cases_that_are_not_known(look, drawn):
    rows, labels = drawn
    stray = ("nobody", labels[0][1], 1)
    with pytest.raises(InvalidTable, match="1 labels are of cases that are not in the log, as"):
        look(rows, [*labels, stray])


def test_a_label_before_its_case(look, drawn):
    rows, labels = drawn
    early = (labels[3][0], "2025-01-01T00:00:00+00:00", 1)
    with pytest.raises(InvalidTable, match="1 labels came before their case, as case_id='c000003'"):
        look(rows, [*labels[:3], early, *labels[4:]])


def test_a_label_said_twice_and_differently(look, drawn):
    rows, labels = drawn
    case, when, value = labels[0]
    with pytest.raises(InvalidTable, match="2 rows share case_id='c000000'"):
        look(rows, [*labels, (case, when, 1 - value)])


def test_two_files_that_contradict_each_other(place, bundle, drawn, tmp_path):
    rows, labels = drawn
    log = made.write_log(tmp_path / "log", rows, bundle.digest)
    one = made.write_labels(tmp_path / "one.csv", labels)
    turned = [(case, when, 1 - value) for case, when, value in labels[:5]]
    other = made.write_labels(tmp_path / "other.csv", turned)
    options = monitor.Options(bundle=str(place), log=str(log), labels=[str(one), str(other)])
    with pytest.raises(InvalidTable, match="5 cases have two labels that differ, as"):
        monitor.run(options, {}, tmp_path, Scope())


def test_the_same_label_in_two_files_counts_once(place, bundle, drawn, tmp_path):
    rows, labels = drawn
    log = made.write_log(tmp_path / "log", rows, bundle.digest)
    files = [str(made.write_labels(tmp_path / f"{n}.csv", labels)) for n in "ab"]
    options = monitor.Options(bundle=str(place), log=str(log), labels=files)
    assert monitor.run(options, {}, tmp_path, Scope())["labelled"] == len(labels)


def test_a_clock_that_was_set_back(look, drawn):
    rows, labels = drawn
    day = [row for row in rows if row["at"][:10] == rows[0]["at"][:10]]
    back = {
        **rows[0],
        "case_id": "later",
        "at": (dt.datetime.fromisoformat(day[-1]["at"]) - dt.timedelta(hours=5)).isoformat(
            timespec="microseconds"
        ),
    }
    mixed = [*day, back, *rows[len(day) :]]
    with pytest.raises(InvalidTable, match="stamped earlier than one that was written before"):
        look(mixed, labels)
    out, _ = look(mixed, labels, accept_clock=True)
    assert made.said(out)["notes"]["requests stamped before an earlier one"] == 1


def test_a_clock_that_was_ahead_of_the_day_of_the_look(look, drawn):
    rows, labels = drawn
    with pytest.raises(InvalidTable, match="29 cases are later than the day of the look"):
        look(rows, labels, as_of="2026-01-31")


def test_a_level_that_was_not_declared(look, drawn):
    rows, labels = drawn
    strange = [{**row, "sex": "X"} if k < 4 else row for k, row in enumerate(rows)]
    with pytest.raises(InvalidTable, match="log: 4 cases with sex='X'; the bundle declares F, M"):
        look(strange, labels)


def test_a_log_without_the_attribute_that_the_bundle_is_audited_by(look, drawn):
    rows, labels = drawn
    bare = [{k: v for k, v in row.items() if k != "sex"} for row in rows]
    with pytest.raises(InvalidTable, match="log: no column 'sex'; the bundle is audited by sex"):
        look(bare, labels)


def test_an_empty_log(place, bundle, tmp_path):
    log = made.write_log(tmp_path / "log", [], bundle.digest)
    options = monitor.Options(bundle=str(place), log=str(log))
    with pytest.raises(InvalidInput, match="holds no file"):
        monitor.run(options, {}, tmp_path, Scope())
    from equipoise.tables.requests import header, line_of

    (log / "requests-20260101.jsonl").write_bytes(line_of(header(bundle.digest, "k1")))
    with pytest.raises(InvalidInput, match="the log holds no case; there is nothing to watch"):
        monitor.run(options, {}, tmp_path, Scope())


def test_a_case_that_was_asked_twice_is_counted_and_said(look, drawn):
    rows, labels = drawn
    out, result = look([rows[0], *rows], labels)
    assert result["cases"] == len(rows)
    assert made.said(out)["notes"]["requests for a case that was answered before"] == 1


def test_nothing_or_two_things_to_be_watched(place, tmp_path):
    options = monitor.Options(bundle=str(place))
    with pytest.raises(InvalidConfiguration, match="nothing to be watched; expected one of a log"):
        monitor.run(options, {}, tmp_path, Scope())
    options = monitor.Options(bundle=str(place), log="a", tables=["b.csv"])
    with pytest.raises(InvalidConfiguration, match="log and tables to be watched"):
        monitor.run(options, {}, tmp_path, Scope())


def monthly(rows, folder):
    """Write the rows as prediction tables by month, and return the paths in order."""
    frame = pl.DataFrame(rows).drop("bundle", "outcome")
    paths = []
    for (month,), part in frame.group_by(pl.col("at").str.slice(0, 7), maintain_order=True):
        paths.append(folder / f"{month}.csv")
        part.write_csv(paths[-1])
    return [str(path) for path in paths]


def test_tables_by_period_are_watched_like_a_log(place, drawn, look, tmp_path):
    rows, labels = drawn
    paths = monthly(rows, tmp_path)
    files = [str(made.write_labels(tmp_path / "labels.csv", labels))]
    out = tmp_path / "tables"
    out.mkdir()
    options = monitor.Options(bundle=str(place), tables=paths, labels=files)
    monitor.run(options, {}, out, Scope())
    of_log, _ = look(rows, labels)
    assert made.said(out, "verdict.json") == made.said(of_log, "verdict.json")


def test_months_out_of_order(place, drawn, tmp_path):
    paths = monthly(drawn[0], tmp_path)[::-1]
    options = monitor.Options(bundle=str(place), tables=paths)
    with pytest.raises(InvalidTable, match="in the order of time"):
        monitor.run(options, {}, tmp_path, Scope())


def test_a_month_given_twice(place, drawn, tmp_path):
    paths = monthly(drawn[0], tmp_path)
    options = monitor.Options(bundle=str(place), tables=[paths[0], paths[0]])
    with pytest.raises(InvalidTable, match="in the order of time"):
        monitor.run(options, {}, tmp_path, Scope())


def test_a_case_twice_in_one_table(place, drawn, tmp_path):
    path = monthly([drawn[0][0], drawn[0][0]], tmp_path)[0]
    options = monitor.Options(bundle=str(place), tables=[path])
    with pytest.raises(InvalidTable, match="2 rows share case_id='c000000'"):
        monitor.run(options, {}, tmp_path, Scope())


def test_a_table_of_another_bundle(place, drawn, tmp_path):
    path = tmp_path / "a.csv"
    pl.DataFrame(drawn[0]).with_columns(bundle=pl.lit("b" * 64)).write_csv(path)
    options = monitor.Options(bundle=str(place), tables=[str(path)])
    with pytest.raises(InvalidInput, match="60 cases are of bundle bbbbbbbbbbbbbbbb; expected"):
        monitor.run(options, {}, tmp_path, Scope())


@pytest.mark.parametrize("said", ["2026-13-01", "2026-01-02T03:04:05", "yesterday"])
def test_a_time_that_is_none_or_says_no_offset(look, drawn, said):
    rows, labels = drawn
    with pytest.raises(InvalidTable, match="column 'labelled_at' holds"):
        look(rows, [(labels[0][0], said, 1)])


def test_a_label_that_is_neither_yes_nor_no(place, bundle, drawn, tmp_path):
    rows, labels = drawn
    log = made.write_log(tmp_path / "log", rows, bundle.digest)
    path = tmp_path / "labels.csv"
    path.write_text(
        f"case_id,labelled_at,label:{made.FINDING}\n{labels[0][0]},{labels[0][1]},maybe\n"
    )
    options = monitor.Options(bundle=str(place), log=str(log), labels=[str(path)])
    with pytest.raises(InvalidTable, match="holds 'maybe'; expected 1, 0 or empty"):
        monitor.run(options, {}, tmp_path, Scope())
    path.write_text(f"case_id,labelled_at,label:gout\n{labels[0][0]},{labels[0][1]},1\n")
    with pytest.raises(InvalidTable, match="no label of what the bundle answers"):
        monitor.run(options, {}, tmp_path, Scope())


def test_a_cohort_that_says_no_dates(place, tmp_path):
    from equipoise import tables

    cohort, _, _ = tiny.drawn()
    folder = tmp_path / "cohort"
    tables.write(cohort.drop("acquired_on"), folder / "cohort.parquet", tables.COHORT)
    options = monitor.Options(bundle=str(place))
    with pytest.raises(InvalidConfiguration, match="a cohort without embeddings"):
        monitor.run(options, {"cohort": folder}, tmp_path, Scope())
    with pytest.raises(InvalidTable, match="no column 'acquired_on'"):
        monitor.run(options, {"cohort": folder, "embeddings": folder}, tmp_path, Scope())
