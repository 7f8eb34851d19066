"""The plan of views: which view comes from which, with what seed, and where its camera stands."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from backend import camera
from backend.data import Cutout, Elevation
from backend.options import Preset
from backend.views import ViewPlan
from backend.zero123.model import Zero123

HEIGHT = Elevation(20.0, 1.0, "given")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Zero123:
    return Zero123.load(tiny.write_weights(tmp_path_factory.mktemp("weights")) / "view")


@pytest.fixture(scope="module")
def cutout() -> Cutout:
    rows, columns = np.mgrid[:96, :96] / 96
    inside = (rows - 0.5) ** 2 + (columns - 0.5) ** 2 < 0.375**2
    image = np.stack([rows, columns, 1 - rows, inside], -1).astype(np.float32)
    return Cutout(image, "alpha", (0.0, 0.0, 96.0))


def _plan(model, cutout, views=8, seed=0, on_step=lambda share: None) -> ViewPlan:
    return ViewPlan(model, cutout, Preset(steps=3, guidance=3.0, views=views, resolution=32), seed, on_step)


def _all(plan: ViewPlan, views: int) -> ViewPlan:
    plan.add_ring(camera.FIRST_RING)
    plan.add_neighbours(["0"])
    plan.add_ring(camera.second_ring(70))
    if views == 40:
        plan.add_neighbours(plan.stage_1)
    return plan


def test_forty_views_with_their_cameras(model, cutout):
    shares: list[float] = []
    views = _all(_plan(model, cutout, 40, on_step=shares.append), 40).posed(HEIGHT, 40)
    assert views.images.shape == (41, 64, 64, 3) and views.masks.shape == (41, 64, 64)
    assert views.names[0] == "input" and len(set(views.names)) == 41
    assert {name for name in views.names if name.isdigit()} == set("01234567")
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
    for name, move in (("input", (0, 0)), ("2", (0, 180)), ("5", (30, 120)), ("5_1", (40, 120)), ("3_2", (0, 260))):
        wanted = camera.camera_to_world(70 + move[0], move[1])
        assert np.allclose(views.camera_to_world[views.names.index(name)], wanted, atol=1e-5), name


def test_eight_views_leave_the_neighbours_out(model, cutout):
    views = _all(_plan(model, cutout), 8).posed(HEIGHT, 8)
    assert views.names == ("input", *"01234567")


def test_a_high_camera_looks_for_the_rest_from_above(model, cutout):
    plan = _plan(model, cutout)
    plan.add_ring(camera.second_ring(90 - -10))
    views = plan.posed(Elevation(-10.0, 1.0, "given"), 8)
    assert views.names == ("input", "8", "9", "10", "11")
    assert np.allclose(views.camera_to_world[1], camera.camera_to_world(70, 30), atol=1e-5)


def test_a_view_depends_on_its_name_and_seed_only(model, cutout):
    """Not on what else is made, or in which order: so presets and resumed work agree."""
    whole = _all(_plan(model, cutout, 40), 40)
    ring = camera.FIRST_RING
    alone = _plan(model, cutout)
    alone.add_ring(ring[2:3])
    assert np.abs(alone.image("2") - whole.image("2")).max() <= 1.01 / 255
    other = _plan(model, cutout, seed=1)
    other.add_ring(ring)
    assert np.abs(other.image("2") - whole.image("2")).max() > 0.05
    assert np.abs(whole.image("1") - whole.image("2")).max() > 0.05


def test_cancelling_stops_between_steps(model, cutout):
    class Stop(Exception):
        pass

    seen = []

    def stop(share: float) -> None:
        seen.append(share)
        raise Stop

    with pytest.raises(Stop):
        _plan(model, cutout, on_step=stop).add_ring(camera.FIRST_RING)
    assert len(seen) == 1
