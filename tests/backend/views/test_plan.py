"""The plan of views: which view comes from which, with what seed, and where its camera stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend import camera
from backend.options import FAITHFUL, Preset
from backend.types import Cutout, Elevation
from backend.views.plan import ViewPlan
from backend.views.zero123.model import Zero123
from tests.helpers import tiny

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


def _plan(model, cutout, views=8, seed=0, on_progress=lambda fraction: None) -> ViewPlan:
    return ViewPlan(model, cutout, Preset(steps=3, guidance=3.0, views=views, resolution=32), seed, on_progress)


def _all(plan: ViewPlan, views: int) -> ViewPlan:
    plan.add_ring(camera.FIRST_RING)
    plan.add_neighbors(["0"])
    plan.add_ring(camera.second_ring(70))
    if views == 40:
        plan.add_neighbors(plan.stage_1)
    return plan


def test_forty_views_with_their_cameras(model, cutout):
    shares: list[float] = []
    views = _all(_plan(model, cutout, 40, on_progress=shares.append), 40).posed(HEIGHT, 40)
    assert views.images.shape == (41, 64, 64, 3) and views.masks.shape == (41, 64, 64)
    assert views.names[0] == "input" and len(set(views.names)) == 41
    assert {name for name in views.names if name.isdigit()} == set("01234567")
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
    for name, move in (("input", (0, 0)), ("2", (0, 180)), ("5", (30, 120)), ("5_1", (40, 120)), ("3_2", (0, 260))):
        wanted = camera.camera_to_world(70 + move[0], move[1])
        assert np.allclose(views.camera_to_world[views.names.index(name)], wanted, atol=1e-5), name


def test_eight_views_leave_the_neighbors_out(model, cutout):
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


def test_only_the_originals_way_takes_its_steps_and_rounds_to_8_bits(model, cutout):
    """What a view is sampled from is the same in both: nearly white (253 of 255) is white, but not in the picture."""
    for quality in (replace(FAITHFUL, steps=6), Preset(steps=6, guidance=3.0, views=8, resolution=32)):
        steps, sources = [], []
        hooks = [
            model.unet.register_forward_pre_hook(lambda _, args, steps=steps: steps.append(int(args[1]))),
            model.vae.encoder.register_forward_pre_hook(lambda _, args, sources=sources: sources.append(args[0])),
        ]
        plan = ViewPlan(model, cutout, quality, 0, lambda share: None)
        plan.add_ring(camera.FIRST_RING[:1])
        plan.add_neighbors(["0"])
        for hook in hooks:
            hook.remove()
        counts = np.stack([plan.image("0"), plan.image("0_3")]) * 255
        assert (np.abs(counts - np.round(counts)).max() < 1e-3) == quality.faithful
        if quality.faithful:
            assert steps == [831, 665, 499, 333, 167, 1, 501, 251, 1]
        else:
            assert len(steps) == 6 + 4 and steps[0] == steps[6] == 999
        given, made = ((each[0].permute(1, 2, 0).numpy() + 1) * 127.5 for each in sources)
        assert np.abs(given - plan.image("input") * 255).max() < 1e-3
        near_white = counts[0] > 252.5
        assert near_white.any() and (made[near_white] > 254.999).all()
        assert np.abs(made - counts[0])[~near_white].max() < 1e-3


def test_cancelling_stops_between_steps(model, cutout):
    class Stop(Exception):
        pass

    seen = []

    def stop(share: float) -> None:
        seen.append(share)
        raise Stop

    with pytest.raises(Stop):
        _plan(model, cutout, on_progress=stop).add_ring(camera.FIRST_RING)
    assert len(seen) == 1
