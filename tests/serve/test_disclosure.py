"""No metric tells of fewer than so many of a group, neither by itself nor by what is left."""

from hypothesis import given
from hypothesis import strategies as st

from equipoise.serve.disclosure import Ledger, shown
from tests.serve.made import DICOM, client, files

SEXES = ["F", "M", "unknown"]
AGES = ["0-39", "40-64", "65+", "unknown"]


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 30)), st.integers(1, 8))
def test_what_is_shown_is_enough_and_so_is_what_is_held_back(waiting, minimum):
    found = shown(waiting, minimum)
    assert all(waiting[level] >= minimum for level in found)
    held = [n for level, n in waiting.items() if n and level not in found]
    if found:
        assert not held or (len(held) >= 2 and sum(held) >= minimum)
    if all(n == 0 or n >= minimum for n in waiting.values()):
        assert not held  # nothing is held back without need


PEOPLE = st.tuples(st.sampled_from(SEXES), st.sampled_from(AGES), st.booleans(), st.booleans())


@given(st.lists(PEOPLE, max_size=80), st.integers(1, 6))
def test_between_two_readings_no_group_changes_by_a_few_and_the_rest_tells_no_few(people, minimum):
    ledger = Ledger({"sex": SEXES, "age": AGES}, minimum)
    total, before = 0, dict.fromkeys(ledger.shown, 0)
    for sex, age, positive, look in people:
        called = "positive" if positive else "negative"
        ledger.add({"sex": sex, "age": age}, [("answers", "scored"), ("decisions", called)])
        total += 1
        if not look:
            continue
        ledger.release()
        now = {group: cells[("answers", "scored")] for group, cells in ledger.shown.items()}
        for name in ("sex", "age"):
            changes = {g: now[g] - before[g] for g in now if g[0] == name}
            assert all(change == 0 or change >= minimum for change in changes.values())
            rest = total - sum(n for g, n in now.items() if g[0] == name)
            if any(changes.values()):
                assert rest == 0 or rest >= minimum
        before = now
        for cells in ledger.shown.values():
            calls = cells[("decisions", "positive")] + cells[("decisions", "negative")]
            assert calls == cells[("answers", "scored")]


def test_metrics_show_a_group_once_there_are_five_of_it_and_never_ids(bundle, tmp_path):
    given_files = files(30)
    women = [one for one in given_files if one[0].sex_known and one[0].sex == "F"][:6]
    men = [one for one in given_files if one[0].sex_known and one[0].sex == "M"][:3]

    def group(text, level):
        at = f'level="{level}",model="{ask.service.meters._model}",outcome="scored"'
        (found,) = [row for row in text.splitlines() if "group_answers_total" in row and at in row]
        return float(found.split()[-1])

    with client(bundle, tmp_path / "log") as ask:
        for _, content in women:
            ask.post("/v1/score", content=content, headers=DICOM)
        assert group(ask.get("/metrics").text, "F") == 6
        for _, content in [*men, *women]:
            ask.post("/v1/score", content=content, headers=DICOM)
        text = ask.get("/metrics").text
        # 3 men would be told by the total less the women: both wait.
        assert (group(text, "F"), group(text, "M")) == (6, 0)
        assert 'equipoise_answers_total{model="' in text
        for _, content in men:
            ask.post("/v1/score", content=content, headers=DICOM)
        text = ask.get("/metrics").text
        assert (group(text, "F"), group(text, "M")) == (12, 6)
        assert "equipoise_request_seconds_count" in text
        for scene, _ in given_files:
            assert scene.patient_code not in text
            assert scene.image_id not in text
