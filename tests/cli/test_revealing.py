"""The commands ``encoding`` and ``slices``: what embeddings betray, and whom a model fails in them.

Both are run on tables in which it is known what is there to be found.
"""

import numpy as np
import polars as pl
import pytest

from equipoise import audit, evidence
from tests.audit.revealed import drawn
from tests.audit.test_slices import drawn as hidden
from tests.cli.test_command_line import call

BY = ("--by", "sex=F,M")
POINT = ("--threshold", "0.5")


def rng():
    return np.random.default_rng(1)


@pytest.fixture
def tables(tmp_path):
    """Embeddings in which sex can be read, and a table of their images, as a hospital has it."""
    embeddings, cohort = drawn(rng(), sex=2.0)
    embeddings.write_parquet(tmp_path / "embeddings.parquet")
    rows = cohort.rename({"label:edema": "edema"}).with_columns(pl.col("edema").cast(pl.Int64))
    rows.write_csv(tmp_path / "cohort.csv")
    return embeddings, cohort


@pytest.fixture
def audited(tmp_path):
    """Predictions that miss a hidden group, and the embeddings in which it lies apart."""
    embeddings, cohort, scores = hidden(0)
    embeddings.write_parquet(tmp_path / "embeddings.parquet")
    cohort.join(scores, on="image_id").write_csv(tmp_path / "predictions.csv")
    return embeddings, cohort, scores


def encode(capsys, folder, *more, label="edema", by=BY):
    words = (str(folder / "embeddings.parquet"), "--metadata", str(folder / "cohort.csv"))
    return call(capsys, "encoding", *words, *by, "--label", label, *more)


def slice_up(capsys, folder, *more):
    words = (str(folder / "predictions.csv"), "--embeddings", str(folder / "embeddings.parquet"))
    return call(capsys, "slices", *words, *more)


def rewritten(path, **columns):
    pl.read_csv(path, infer_schema=False).with_columns(**columns).write_csv(path)


def test_what_can_be_read_stands_beside_its_controls_and_is_said_in_a_sentence(
    capsys, monkeypatch, tables, tmp_path
):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = encode(capsys, tmp_path)
    assert code == 0, err
    assert "sex F or M can be read overall and given edema" in out
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if line.count("│") > 6}
    assert list(rows) == [
        "edema (control: should be readable)",
        "sex F or M",
        "sex dealt to other patients (control: should not)",
    ]
    found = audit.encoding(*tables, by={"sex": ["F", "M"]}, finding="edema")
    row = found.filter(pl.col("given").is_null(), level="F", role="attribute").row(0, named=True)
    shown = "{auroc:.3f} ({low:.3f} to {high:.3f})".format(**row)
    assert shown in rows["sex F or M"]
    assert "does not say that a model uses it" in " ".join(err.split())


def test_the_tables_are_those_of_the_engine_and_bound_in_the_evidence(capsys, tables, tmp_path):
    out = tmp_path / "out"
    code, said, err = encode(capsys, tmp_path, "--components", "--seed", "3", "--out", str(out))
    assert code == 0, err
    told = {"by": {"sex": ["F", "M"]}, "finding": "edema"}
    found = audit.encoding(*tables, **told, options=audit.Probing(seed=3))
    apart = audit.components(*tables, **told, options=audit.Components(seed=3))
    assert pl.read_parquet(out / "encoding.parquet").equals(found)
    assert pl.read_parquet(out / "components.parquet").equals(apart)
    assert pl.read_csv(out / "encoding.csv")["auroc"].equals(found["auroc"])
    assert "components in which groups lie apart" in said
    statement = evidence.read_statement(out)
    names = {one["name"] for one in statement["subject"]}
    assert {"encoding.csv", "components.parquet"} <= names
    inputs = {one["name"] for one in statement["predicate"]["inputs"]}
    assert inputs == {"source:embeddings", "source:metadata"}
    assert not list(out.glob("*.partial"))


def test_an_attribute_that_is_not_there_is_not_shown_to_be_readable(capsys, tmp_path):
    embeddings, cohort = drawn(rng())
    embeddings.write_parquet(tmp_path / "embeddings.parquet")
    cohort.write_csv(tmp_path / "cohort.csv")
    _, out, _ = encode(capsys, tmp_path)
    assert "not shown to be readable: sex F or M" in out
    assert "can be read" not in out


def test_a_finding_that_cannot_be_read_is_a_control_that_fails_and_says_so(capsys, tmp_path):
    embeddings, cohort = drawn(rng(), sex=2.0, finding=0.0)
    embeddings.write_parquet(tmp_path / "embeddings.parquet")
    cohort.write_csv(tmp_path / "cohort.csv")
    _, out, _ = encode(capsys, tmp_path)
    assert "control: edema itself is not shown to be readable" in out


def test_a_group_that_is_too_small_is_said_with_what_it_lacks(capsys, tables, tmp_path):
    code, out, _ = encode(capsys, tmp_path, "--minimum", "150")
    assert code == 0
    assert "not assessable: sex F: " in out
    assert "images with the level" in out
    assert "mean of its levels" not in out


def test_levels_from_the_data_are_called_exploratory(capsys, tables, tmp_path):
    _, _, err = encode(capsys, tmp_path, by=("--by", "sex"))
    assert "exploratory: levels were taken from the data" in err
    _, _, err = encode(capsys, tmp_path)
    assert "exploratory" not in err


def test_numbers_in_place_of_names_join_as_text_and_lists_are_vectors(capsys, tables, tmp_path):
    embeddings, cohort = tables
    number = pl.col("image_id").cast(pl.Int64) + 1_000
    text = number.cast(pl.String)
    lists = embeddings.with_columns(text, pl.col("vector").cast(pl.List(pl.Float32)))
    lists.write_parquet(tmp_path / "embeddings.parquet")
    cohort.with_columns(number).write_csv(tmp_path / "cohort.csv")
    code, out, err = encode(capsys, tmp_path)
    assert code == 0, err
    assert "sex F or M can be read" in out


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"image_id": pl.lit("00001")}, "metadata: image_id='00001' stands in 240 rows"),
        ({"image_id": pl.lit(None)}, "metadata: column 'image_id': 240 nulls; expected none"),
        ({"edema": pl.lit(2)}, "metadata: column 'edema': 240 values outside {0, 1, null}"),
        ({"sex": pl.lit("X")}, "cohort: 240 images of an undeclared level, as sex='X'"),
    ],
    ids=["an image twice", "no image", "no label", "an undeclared level"],
)
def test_a_table_that_cannot_be_right_is_refused_by_its_name(
    capsys, tables, tmp_path, columns, words
):
    rewritten(tmp_path / "cohort.csv", **columns)
    code, out, err = encode(capsys, tmp_path, "--out", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert words in err
    assert not (tmp_path / "out").exists()


def test_a_column_that_is_not_there_is_named_with_those_that_are(capsys, tables, tmp_path):
    code, _, err = encode(capsys, tmp_path, label="oedema")
    assert code == 2
    assert "metadata: no column 'label:oedema' or 'oedema'; got ['image_id'" in err
    assert "did you mean 'edema'?" in err
    code, _, err = encode(capsys, tmp_path, "--patient", "who")
    assert (code, "cohort: no column 'who'" in err) == (2, True)
    code, _, err = encode(capsys, tmp_path, by=("--by", "sex=unknown"))
    assert code == 2
    code, _, err = encode(capsys, tmp_path, "--penalty", "0")
    assert (code, "--penalty 0.0: Input should be greater than 0" in err) == (2, True)


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        (pl.lit(0.5), "column 'vector' is Float64; expected a list of numbers per image"),
        (pl.lit(None, pl.List(pl.Float64)), "column 'vector': 240 nulls; expected none"),
    ],
    ids=["no list", "null"],
)
def test_what_is_no_vector_is_refused(capsys, tables, tmp_path, vector, words):
    broken = tables[0].with_columns(vector=vector)
    broken.write_parquet(tmp_path / "embeddings.parquet")
    code, _, err = encode(capsys, tmp_path)
    assert code == 2
    assert f"embeddings: {words}" in err


def test_a_folder_with_the_evidence_of_another_command_is_left_as_it_is(
    capsys, tables, audited, tmp_path
):
    out = tmp_path / "out"
    assert slice_up(capsys, tmp_path, *POINT, "--out", str(out))[0] == 0
    before = (out / "evidence.json").read_bytes()
    code, _, err = encode(capsys, tmp_path, "--out", str(out))
    assert code == 2
    assert "holds the evidence of 'slices'; expected a folder of its own for 'encoding'" in err
    assert (out / "evidence.json").read_bytes() == before
    assert slice_up(capsys, tmp_path, *POINT, "--out", str(out))[0] == 0


def test_a_hidden_group_is_found_tested_and_told_by_who_is_in_it(
    capsys, monkeypatch, audited, tmp_path
):
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "out"
    words = ("--by", "hidden=yes,no", *POINT, "--out", str(out))
    code, told, err = slice_up(capsys, tmp_path, *words)
    assert code == 0, err
    made = audit.slices(
        *audited,
        finding="x",
        threshold=0.5,
        options=audit.Slicing(attributes={"hidden": ["yes", "no"]}),
    )
    row = made.table.row(0, named=True)
    assert row["confirmed"]
    shown = "{difference:+.3f} ({difference_low:+.3f} to {difference_high:+.3f})".format(**row)
    (line,) = [line for line in told.splitlines() if shown in line]
    assert [cell.strip() for cell in line.split("│")][6] == "yes"
    assert "slice 1 holds more often than the rest: hidden yes" in told
    assert "a reason to look at its images" in " ".join(err.split())
    assert pl.read_parquet(out / "slices.parquet").equals(made.table)
    assert pl.read_parquet(out / "lifts.parquet").equals(made.lifts)


def test_the_images_of_a_slice_are_listed_and_its_rule_can_be_used_again(capsys, audited, tmp_path):
    out = tmp_path / "out"
    assert slice_up(capsys, tmp_path, *POINT, "--out", str(out))[0] == 0
    embeddings, cohort, _ = audited
    inside = audit.load_rule(out / "slice_rule").inside(np.array(embeddings["vector"].to_list()))
    listed = pl.read_csv(out / "slice_images.csv", schema_overrides={"image_id": pl.String})
    first = listed.filter(slice="slice 1")["image_id"].to_list()
    assert first == embeddings.filter(pl.Series(inside[:, 0]))["image_id"].sort().to_list()
    share = cohort.filter(pl.col("image_id").is_in(first))["hidden"].eq("yes").mean()
    assert share > 0.8
    names = {one["name"] for one in evidence.read_statement(out)["subject"]}
    assert {"slice_rule.safetensors", "slice_images.csv"} <= names


def test_where_nobody_fares_worse_nothing_is_found_and_it_says_so(capsys, tmp_path):
    embeddings, cohort, scores = hidden(2, 400)
    perfect = scores.join(cohort, on="image_id").select(
        "image_id", pl.col("label:x").cast(pl.Float64).alias("score:x")
    )
    embeddings.write_parquet(tmp_path / "embeddings.parquet")
    cohort.join(perfect, on="image_id").write_csv(tmp_path / "predictions.csv")
    code, out, err = slice_up(capsys, tmp_path, *POINT, "--out", str(tmp_path / "out"))
    assert code == 0, err
    assert "no slice fared worse than the rest" in out
    assert pl.read_parquet(tmp_path / "out" / "slice_images.parquet").height == 0


def test_only_the_test_split_is_looked_at_and_the_patient_may_have_another_name(
    capsys, audited, tmp_path
):
    path = tmp_path / "predictions.csv"
    rows = pl.read_csv(path, infer_schema=False).with_row_index()
    half = pl.when(pl.col("index") % 2 == 0).then(pl.lit("test")).otherwise(pl.lit("train"))
    rows.drop("index").with_columns(rows.select(split=half)).rename(
        {"patient_id": "who"}
    ).with_columns(patient_id=pl.lit("one")).write_csv(path)
    out = tmp_path / "out"
    code, _, err = slice_up(capsys, tmp_path, *POINT, "--patient", "who", "--out", str(out))
    assert code == 0, err
    made = pl.read_parquet(out / "slices.parquet")
    assert made["n_patients"][0] > 30
    listed = pl.read_parquet(out / "slice_images.parquet")
    assert listed["image_id"].str.slice(-1).is_in(list("02468")).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "sensitivity needs an operating point; expected a threshold"),
        (("--metric", "auroc", *POINT), "auroc needs none"),
        (("--metric", "recall", *POINT), "--metric recall: Input should be 'sensitivity'"),
        (("--clusters", "two", *POINT), "--clusters two: expected whole numbers, as 2,4,8"),
        (("--clusters", "1,4", *POINT), "--clusters 1,4: expected 2 or more each"),
        (("--label", "y", *POINT), "slices: no finding 'y'; known findings: x"),
        (("--patient", "who", *POINT), "predictions: no column 'who'; got ['image_id'"),
    ],
)
def test_wrong_use_is_a_sentence_and_exit_2(capsys, audited, tmp_path, words, said):
    code, out, err = slice_up(capsys, tmp_path, *words)
    assert (code, out) == (2, "")
    assert said in err
