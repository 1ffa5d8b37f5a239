from dataclasses import replace

import numpy as np
import pytest

from equipoise import phantoms
from equipoise.phantoms.draws import listed
from equipoise.phantoms.observer import scores
from equipoise.phantoms.options import Options, Site
from equipoise.phantoms.pictures import seen
from equipoise.phantoms.rendering import render
from equipoise.phantoms.scanners import digitised, displayed

OPTIONS = Options(patients=30, seed=2)
SCENES = listed(phantoms.scenes(OPTIONS))
ILL = next(scene for scene in SCENES if scene.clean)


def test_a_scene_is_rendered_to_the_same_bits_each_time() -> None:
    assert (render(ILL, OPTIONS) == render(ILL, OPTIONS)).all()


def test_lungs_are_darker_than_heart_and_abdomen_and_air_is_black() -> None:
    mean = np.mean([render(scene, OPTIONS) for scene in SCENES], axis=0)
    lung, heart, abdomen, air = mean[50, 36], mean[82, 70], mean[120, 64], mean[2, 3]

    assert air < 0.05 < lung < 0.4
    assert heart > lung + 0.2
    assert abdomen > heart


def test_an_opacity_brightens_the_lungs_by_its_contrast_and_only_there() -> None:
    faint = replace(ILL, contrast=0.0)
    added = render(ILL, OPTIONS) - render(faint, OPTIONS)

    assert 0.5 * OPTIONS.visibility < added.max() < 1.5 * OPTIONS.visibility
    assert added.min() > -0.02
    assert np.abs(added[110:]).max() < 1e-3, "nothing below the diaphragm"
    assert 0.005 < (added > OPTIONS.visibility / 3).mean() < 0.2


def test_twice_the_contrast_adds_twice_as_much() -> None:
    quiet = [replace(ILL, contrast=c, noise=0.0) for c in (0.0, 0.1, 0.2)]
    none, once, twice = (render(scene, OPTIONS) for scene in quiet)

    np.testing.assert_allclose(twice - none, 2 * (once - none), atol=1e-6)


def test_the_second_image_of_a_patient_shows_the_same_chest_in_another_pose() -> None:
    other = replace(ILL, number=ILL.number + 1, image_id="other")
    first, second = seen(ILL, OPTIONS).astype(float), seen(other, OPTIONS).astype(float)
    stranger = next(s for s in SCENES if s.patient != ILL.patient and s.view == ILL.view)
    third = seen(replace(stranger, site=ILL.site), OPTIONS).astype(float)

    assert not (first == second).all()
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.9
    lungs = (slice(30, 80), slice(25, 45))
    alike = np.corrcoef(first[lungs].ravel(), second[lungs].ravel())[0, 1]
    assert alike > np.corrcoef(first[lungs].ravel(), third[lungs].ravel())[0, 1]


def test_gain_noise_and_blur_do_what_they_say() -> None:
    sharp = Options(sites=[{"name": "harbour", "blur": 0.0}])
    soft = Options(sites=[{"name": "harbour", "blur": 2.0}])
    still = replace(ILL, site="harbour", noise=0.0)
    plain = render(still, sharp)

    np.testing.assert_allclose(
        render(replace(still, gain=0.5), sharp), plain * 0.5 / still.gain, atol=1e-6
    )
    spread = render(replace(still, noise=0.04), sharp) - plain
    assert spread.std() == pytest.approx(0.04 * still.gain, rel=0.15)
    edges = np.abs(np.diff(plain, axis=1)).mean()
    assert np.abs(np.diff(render(still, soft), axis=1)).mean() < 0.9 * edges


def test_blur_keeps_the_mean_of_the_picture() -> None:
    from equipoise.phantoms.rendering import _blurred

    rng = np.random.default_rng(1)
    picture = np.pad(rng.random((20, 20), dtype=np.float32), 20)

    assert _blurred(picture, 1.3).sum() == pytest.approx(picture.sum(), rel=1e-5)
    assert pytest.approx(_blurred(picture, 1.3), abs=1e-6) == _blurred(picture.T, 1.3).T


def test_the_marker_stands_on_its_side() -> None:
    still = replace(ILL, noise=0.0)
    right = render(replace(still, marker="R"), OPTIONS)[8:15]
    left = render(replace(still, marker="L"), OPTIONS)[8:15]

    assert right[:, 8:13].max() > 0.8 > right[:, -13:-8].max()
    assert left[:, -13:-8].max() > 0.8 > left[:, 8:13].max()


def test_the_fixed_model_sees_opacities_and_not_black() -> None:
    images = phantoms.images(phantoms.scenes(OPTIONS), OPTIONS)
    ill = np.array([scene.clean for scene in SCENES])

    found = scores(images)

    assert np.median(found[ill]) > np.median(found[~ill])
    assert scores(np.zeros((2, 128, 128), dtype=np.uint8)).tolist() == [0.0, 0.0]
    assert scores(np.zeros((0, 128, 128), dtype=np.uint8)).shape == (0,)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_grey_levels_are_the_brightness_rounded(photometric: str) -> None:
    site = Site(name="a", bits=16, photometric=photometric)
    bright = np.linspace(-0.2, 1.4, 500, dtype=np.float32)

    shown = displayed(digitised(bright, site), site)

    assert np.abs(shown - np.clip(bright, 0, 1) * 255).max() <= 0.51


@pytest.mark.slow
def test_images_do_not_depend_on_the_number_of_workers() -> None:
    options = Options(patients=120, size=32)
    table = phantoms.scenes(options)

    assert (phantoms.images(table, options) == phantoms.images(table, options, workers=2)).all()
