"""The service answers what the stages say offline."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from equipoise import bundles, embed, ingest, serve
from equipoise.scope import Scope
from equipoise.tables import COHORT, ImageCache, read, read_requests
from tests.bundles.made import FINDING
from tests.serve.made import DICOM, KEY, PNG, changed, client, files, lines, png


def offline(options, place, bundle):
    """Scores of the offline stages, image id → score; also the cohort."""
    ingest.run(ingest.Options.model_validate(options), {}, place / "cohort", Scope(base=place))
    cohort = read(place / "cohort" / "cohort.parquet", COHORT)
    table = embed.embeddings(
        cohort["image_id"].to_list(), ImageCache.open(place / "cohort"), bundle.encoder
    )
    scores = bundles.scores(bundle, table["vector"].to_numpy())[FINDING]
    return dict(zip(table["image_id"], scores.tolist(), strict=True)), cohort


def test_dicom_of_three_scanners_gets_the_scores_of_the_offline_stages(bundle, tmp_path):
    given = files(16)
    folder = tmp_path / "dicom"
    folder.mkdir()
    for number, (_, content) in enumerate(given):
        (folder / f"{number}.dcm").write_bytes(content)
    expected, cohort = offline({"folder": "dicom", "size": 64}, tmp_path, bundle)
    kinds = cohort.select("photometric", "modality", "bits_stored").unique()
    assert kinds.height == 3  # MONOCHROME1 of 16 bits, signed CR with a slope, plain DX
    assert cohort.height == len(given)
    with client(bundle, tmp_path / "log") as ask:
        for scene, content in given:
            said = ask.post("/v1/score", content=content, headers=DICOM).json()
            assert said["case_id"] == serve.pseudonym(KEY, scene.image_id)
            assert abs(said["findings"][FINDING]["score"] - expected[scene.image_id]) <= 1e-6
    logged = read_requests(tmp_path / "log", bundle=bundle.digest).frame
    by_case = {serve.pseudonym(KEY, name): score for name, score in expected.items()}
    for case, score in logged.select("case_id", f"score:{FINDING}").iter_rows():
        assert abs(score - by_case[case]) <= 1e-6


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_png_gets_the_scores_of_the_offline_stages(bundle, tmp_path, depth):
    rng = np.random.default_rng(4)
    folder = tmp_path / "png"
    folder.mkdir()
    top = np.iinfo(depth).max
    images = {f"{n}.png": rng.integers(0, top, (70 + n, 90), dtype=depth) for n in range(5)}
    for name, pixels in images.items():
        (folder / name).write_bytes(png(pixels))
    table = {"image": list(images), "label:opacity": [1, 0, 1, 0, 1]}
    pl.DataFrame(table).write_csv(tmp_path / "table.csv")
    options = {"format": "files", "folder": "png", "table": "table.csv", "size": 64}
    columns = {"findings": {FINDING: "label:opacity"}}
    expected, _ = offline(options | {"columns": columns}, tmp_path, bundle)
    free = bundle.manifest.contract.model_copy(update={"distance_limit": None})
    anything = changed(bundle, contract=free)
    with client(anything, tmp_path / "log") as ask:
        for name in images:
            said = ask.post(
                "/v1/score?modality=DX&view=PA",
                content=(folder / name).read_bytes(),
                headers={**PNG, "x-case-id": name},
            ).json()
            assert abs(said["findings"][FINDING]["score"] - expected[name]) <= 1e-6


def test_a_score_that_was_stored_from_the_threshold_is_called_positive(bundle, tmp_path):
    _, content = files(1)[0]
    with client(bundle, tmp_path / "a") as ask:
        score = ask.post("/v1/score", content=content, headers=DICOM).json()
    stored = score["findings"][FINDING]["score"]
    # As a threshold of 0.7 is a little above the Float32 that is stored for it, or below.
    near = [float(np.nextafter(stored, 1.0)), float(np.nextafter(stored, 0.0)), stored]
    above = float(np.nextafter(np.float32(stored), np.float32(1)))
    points = pl.concat(
        bundle.operating_points.with_columns(
            operating_point=pl.lit(f"p{i}"), threshold=pl.lit(value)
        )
        for i, value in enumerate([*near, above])
    )
    with client(replace(bundle, operating_points=points), tmp_path / "b") as ask:
        said = ask.post("/v1/score", content=content, headers=DICOM).json()
    called = {name: one["positive"] for name, one in said["findings"][FINDING]["decisions"].items()}
    assert called == {"p0": True, "p1": True, "p2": True, "p3": False}


def test_scores_do_not_depend_on_who_waits_beside(bundle, tmp_path):
    given = files(12)
    with client(bundle, tmp_path / "alone", batch=1) as ask:
        alone = [ask.post("/v1/score", content=c, headers=DICOM).json() for _, c in given]
    with client(bundle, tmp_path / "together", batch=8, threads=2) as ask:
        with ThreadPoolExecutor(8) as pool:
            send = lambda one: ask.post("/v1/score", content=one[1], headers=DICOM).json()  # noqa: E731
            together = list(pool.map(send, given))
        assert max(ask.service._batcher.sizes) >= 1
    for one, two in zip(alone, together, strict=True):
        assert one["case_id"] == two["case_id"]
        difference = one["findings"][FINDING]["score"] - two["findings"][FINDING]["score"]
        assert abs(difference) <= 1e-6
    assert len(lines(tmp_path / "together")) == len(given)
