"""Who may ask, how much is taken, and that nothing is begun that cannot be finished."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise import serve
from equipoise.errors import InvalidConfiguration, InvalidInput
from equipoise.serve.limits import TokenBucket
from tests.serve.made import DICOM, PNG, Clock, client, files, lines, png

SECRET = "s" * 40


@pytest.fixture(scope="module")
def image():
    return files(1)[0][1]


def test_with_a_token_every_path_but_health_asks_for_it(bundle, tmp_path, image):
    with client(bundle, tmp_path / "log", token=SECRET) as ask:
        for path in ("/v1/bundle", "/metrics", "/openapi.json", "/nowhere"):
            assert ask.get(path).status_code == 401
            wrong = ask.get(path, headers={"authorization": "Bearer " + "t" * 40})
            assert wrong.status_code == 401
            assert wrong.headers["www-authenticate"] == "Bearer"
        assert ask.post("/v1/score", content=image, headers=DICOM).status_code == 401
        assert ask.get("/health/live").status_code == 200
        right = {"authorization": f"Bearer {SECRET}"}
        assert ask.get("/metrics", headers=right).status_code == 200
        assert ask.post("/v1/score", content=image, headers=DICOM | right).status_code == 200
    assert len(lines(tmp_path / "log")) == 1


def test_on_loopback_only_loopback_names_are_answered(bundle, tmp_path):
    with client(bundle, tmp_path / "log") as ask:
        assert ask.get("/v1/bundle", headers={"host": "evil.example"}).status_code == 403
        for name in ("localhost:8080", "127.0.0.1", "[::1]:80"):
            assert ask.get("/v1/bundle", headers={"host": name}).status_code == 200
    with client(bundle, tmp_path / "log", loopback=False, token=SECRET) as ask:
        right = {"authorization": f"Bearer {SECRET}", "host": "scores.hospital.example"}
        assert ask.get("/v1/bundle", headers=right).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "scores.example"])  # noqa: S104
def test_an_address_others_can_reach_needs_a_token_file(host):
    with pytest.raises(InvalidInput, match="expected a token file"):
        serve.needs_token(host, None)
    for here in ("127.0.0.1", "::1", "localhost", "127.8.9.1"):
        serve.needs_token(here, None)


def test_a_token_must_be_long_and_its_owners_alone(tmp_path):
    path = tmp_path / "token"
    path.write_text(SECRET + "\n")
    path.chmod(0o644)
    with pytest.raises(InvalidConfiguration, match="others than its owner may read it"):
        serve.token(path)
    path.chmod(0o600)
    assert serve.token(path) == SECRET
    path.write_text("short")
    with pytest.raises(InvalidConfiguration, match="holds 5 characters; expected 32 or more"):
        serve.token(path)


def test_the_site_key_is_made_once_for_its_owner_alone_and_never_in_the_log(tmp_path):
    draws = [b"1" * 32]
    path = tmp_path / "keys" / "site.key"
    made = serve.site_key(path, log=tmp_path / "log", entropy=lambda _: draws.pop())
    assert path.stat().st_mode & 0o777 == 0o600
    assert serve.site_key(path, log=tmp_path / "log", entropy=lambda _: draws.pop()) == made
    assert made.secret.hex() not in made.id
    assert "1111" not in repr(made)
    inside = tmp_path / "log" / ".." / "log" / "deep" / "key"
    with pytest.raises(InvalidConfiguration, match="lies in the log folder"):
        serve.site_key(inside, log=tmp_path / "log", entropy=bytes)
    assert not (tmp_path / "log").exists()
    path.chmod(0o640)
    with pytest.raises(InvalidConfiguration, match="mode 0640"):
        serve.site_key(path, log=tmp_path / "log", entropy=bytes)
    path.chmod(0o600)
    path.write_text("cafe")
    with pytest.raises(InvalidConfiguration, match="is no key of 32 bytes"):
        serve.site_key(path, log=tmp_path / "log", entropy=bytes)


def test_an_image_that_is_too_large_is_sent_away_before_it_is_read(bundle, tmp_path):
    with client(bundle, tmp_path / "log", maximum_bytes=1 << 18) as ask:
        said = ask.post("/v1/score", content=bytes((1 << 18) + 1), headers=DICOM)
        assert said.status_code == 413
        said = ask.post("/v1/score", content=bytes(1 << 18), headers=DICOM)
        assert said.json()["refusal"]["code"] == "undecodable"
    assert len(lines(tmp_path / "log")) == 1


def test_another_content_type_is_sent_away(bundle, tmp_path, image):
    with client(bundle, tmp_path / "log") as ask:
        for kind in ("application/json", "multipart/form-data; boundary=x", ""):
            said = ask.post("/v1/score", content=image, headers={"content-type": kind})
            assert said.status_code == 415
        typed = {"content-type": "Application/DICOM; charset=binary"}
        assert ask.post("/v1/score", content=image, headers=typed).status_code == 200


def test_more_requests_than_the_rate_are_told_when_to_come_again(bundle, tmp_path, image):
    clock = Clock()
    with client(bundle, tmp_path / "log", clock=clock, rate=0.5, burst=2) as ask:
        codes = [ask.post("/v1/score", content=image, headers=DICOM).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        away = ask.post("/v1/score", content=image, headers=DICOM)
        assert away.headers["retry-after"] == "2"
        assert ask.get("/health/live").status_code == 200
        clock.seconds += 2.0
        assert ask.post("/v1/score", content=image, headers=DICOM).status_code == 200
    assert len(lines(tmp_path / "log")) == 3


@given(st.lists(st.floats(0.0, 5.0), max_size=60), st.floats(0.1, 20.0), st.integers(1, 10))
def test_a_bucket_lets_no_more_through_than_rate_and_burst(gaps, rate, burst):
    bucket, now, passed = TokenBucket(rate, burst), 50.0, 0
    for gap in gaps:
        now += gap
        wait = bucket.take(now)
        passed += wait == 0.0
        assert wait >= 0.0
        assert passed <= burst + rate * (now - 50.0) + 1e-6
        if wait:
            assert bucket.take(now) > 0.0


def test_a_full_queue_sends_away_and_answers_those_that_wait(bundle, tmp_path, monkeypatch):
    free = threading.Event()
    with client(bundle, tmp_path / "log", queue=3, batch=1) as ask:
        real = ask.service._scorer.outcomes
        monkeypatch.setattr(
            ask.service._scorer, "outcomes", lambda cases: free.wait(20) and real(cases)
        )
        found = []
        content = png(np.full((64, 64), 9, np.uint8))

        def send():
            return ask.post("/v1/score?modality=DX", content=content, headers=PNG)

        threads = [threading.Thread(target=lambda: found.append(send())) for _ in range(3)]
        for thread in threads:
            thread.start()
        while len(ask.service._batcher) < 2:  # one is in the encoder, two wait for it
            time.sleep(0.001)
        away = send()
        assert away.status_code == 503
        assert away.headers["retry-after"] == "1"
        free.set()
        for thread in threads:
            thread.join()
    assert [one.status_code for one in found] == [200] * 3
    assert len(lines(tmp_path / "log")) == 3
