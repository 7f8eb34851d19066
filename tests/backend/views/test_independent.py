"""Independent views: which view is sampled from which, with what seed, and where its camera is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from backend import camera
from backend.config import ReconstructionConfig, resolve_options
from backend.data_types import Cutout, Elevation
from backend.errors import UserError
from backend.options import Options
from backend.views.independent import IndependentViewModel, ViewSampler
from backend.views.loading import load_view_model
from backend.views.zero123.model import Zero123

ELEVATION = Elevation(20.0, 1.0, "given")


@pytest.fixture(scope="module")
def model(weights) -> Zero123:
    return Zero123.load(weights / "view")


@pytest.fixture(scope="module")
def cutout() -> Cutout:
    rows, columns = np.mgrid[:96, :96] / 96
    inside = (rows - 0.5) ** 2 + (columns - 0.5) ** 2 < 0.375**2
    image = np.stack([rows, columns, 1 - rows, inside], -1).astype(np.float32)
    return Cutout(image, "alpha", (0.0, 0.0, 96.0))


def _config(reference_mode: bool = False, **changes) -> ReconstructionConfig:
    options = Options(reference_mode=reference_mode, elevation=0.0)
    small = {"num_inference_steps": 3, "guidance_scale": 3.0, "num_views": 8, "resolution": 32}
    return replace(resolve_options(options, "cpu"), **(small | changes))


def _sampler(model, cutout, num_views=8, seed=0, callback_on_step_end=lambda fraction: None) -> ViewSampler:
    return ViewSampler(model, cutout, _config(num_views=num_views, seed=seed), callback_on_step_end)


def _sample_all(sampler: ViewSampler, num_views: int) -> ViewSampler:
    sampler.add_ring(camera.FIRST_RING)
    sampler.add_neighbors(["0"])
    sampler.add_ring(camera.second_ring(70))
    if num_views == 40:
        sampler.add_neighbors(sampler.stage_1)
    return sampler


def test_forty_views_have_their_cameras(model, cutout):
    fractions: list[float] = []
    views = _sample_all(_sampler(model, cutout, 40, callback_on_step_end=fractions.append), 40).to_views(
        ELEVATION.degrees
    )
    assert views.images.shape == (41, 64, 64, 3) and views.masks.shape == (41, 64, 64)
    assert views.names[0] == "input" and len(set(views.names)) == 41
    assert {name for name in views.names if name.isdigit()} == set("01234567")
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)
    for name, move in (("input", (0, 0)), ("2", (0, 180)), ("5", (30, 120)), ("5_1", (40, 120)), ("3_2", (0, 260))):
        expected = camera.camera_to_world(70 + move[0], move[1])
        assert np.allclose(views.camera_to_world[views.names.index(name)], expected, atol=1e-5), name


def test_eight_views_have_no_neighbors(model, cutout):
    views = _sample_all(_sampler(model, cutout), 8).to_views(ELEVATION.degrees)
    assert views.names == ("input", *"01234567")


def test_low_camera_gets_its_second_ring_from_above(model, cutout):
    sampler = _sampler(model, cutout)
    sampler.add_ring(camera.second_ring(90 - -10))
    views = sampler.to_views(-10.0)
    assert views.names == ("input", "8", "9", "10", "11")
    assert np.allclose(views.camera_to_world[1], camera.camera_to_world(70, 30), atol=1e-5)


def test_view_depends_on_its_name_and_seed_only(model, cutout):
    """Not on what else is made, or in which order: so different qualities agree."""
    whole = _sample_all(_sampler(model, cutout, 40), 40)
    ring = camera.FIRST_RING
    alone = _sampler(model, cutout)
    alone.add_ring(ring[2:3])
    assert np.abs(alone.image("2") - whole.image("2")).max() <= 1.01 / 255
    other = _sampler(model, cutout, seed=1)
    other.add_ring(ring)
    assert np.abs(other.image("2") - whole.image("2")).max() > 0.05
    assert np.abs(whole.image("1") - whole.image("2")).max() > 0.05


def test_reference_mode_alone_takes_its_steps_and_quantizes_to_8_bits(model, cutout):
    """What a view is sampled from is the same in both: nearly white (253 of 255) is white, but not in the picture."""
    for config in (_config(reference_mode=True, num_inference_steps=6, num_views=40), _config(num_inference_steps=6)):
        steps, sources = [], []
        hooks = [
            model.unet.register_forward_pre_hook(lambda _, args, steps=steps: steps.append(int(args[1]))),
            model.vae.encoder.register_forward_pre_hook(lambda _, args, sources=sources: sources.append(args[0])),
        ]
        sampler = ViewSampler(model, cutout, config)
        sampler.add_ring(camera.FIRST_RING[:1])
        sampler.add_neighbors(["0"])
        for hook in hooks:
            hook.remove()
        counts = np.stack([sampler.image("0"), sampler.image("0_3")]) * 255
        assert (np.abs(counts - np.round(counts)).max() < 1e-3) == config.quantize_views
        if config.quantize_views:
            assert steps == [831, 665, 499, 333, 167, 1, 501, 251, 1]
        else:
            assert len(steps) == 6 + 4 and steps[0] == steps[6] == 999
        given, made = ((each[0].permute(1, 2, 0).numpy() + 1) * 127.5 for each in sources)
        assert np.abs(given - sampler.image("input") * 255).max() < 1e-3
        near_white = counts[0] > 252.5
        assert near_white.any() and (made[near_white] > 254.999).all()
        assert np.abs(made - counts[0])[~near_white].max() < 1e-3


def test_cancelling_stops_between_steps(model, cutout):
    class Stop(Exception):
        pass

    fractions = []

    def stop(fraction: float) -> None:
        fractions.append(fraction)
        raise Stop

    with pytest.raises(Stop):
        _sampler(model, cutout, callback_on_step_end=stop).add_ring(camera.FIRST_RING)
    assert len(fractions) == 1


def test_view_model_of_an_unknown_kind_is_refused(weights, tmp_path):
    folder = shutil.copytree(weights / "view", tmp_path / "view")
    assert isinstance(load_view_model(folder, torch.device("cpu"), torch.float32), IndependentViewModel)
    content = json.loads((folder / "view.json").read_text())
    (folder / "view.json").write_text(json.dumps(content | {"kind": "holographic"}))
    with pytest.raises(UserError, match="of the kind “holographic”, which this version does not know") as caught:
        load_view_model(folder, torch.device("cpu"), torch.float32)
    assert caught.value.code == "weights_unknown"


def test_elevation_decides_the_second_ring_and_costs_nothing_when_given(model, cutout):
    """Neither the model's estimate nor the neighbors are asked for unless the estimator wants them."""
    asked = []

    def estimate(predict, sample_neighbors) -> Elevation:
        asked.append((predict(), sample_neighbors().shape))
        return Elevation(-20.0, 0.5, "matched")

    view_model = IndependentViewModel(model)
    sampled = view_model.sample_views(cutout, (), estimate, _config())
    assert sampled.elevation.degrees == -20 and sampled.others == ()
    assert sampled.views.names == ("input", "0", "1", "2", "3", "8", "9", "10", "11")
    assert asked == [(None, (4, 64, 64, 3))], "these weights have no elevation head"

    sampled = view_model.sample_views(cutout, (), lambda *_: ELEVATION, _config())
    assert sampled.elevation is ELEVATION and sampled.views.names == ("input", *"01234567")
