"""What photographs do to the pictures of training scenes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.helpers.training_runs import cube
from training.cameras import camera_matrices
from training.input_augmentation import change_lens, change_tones, degrade_cutouts, misplace, reframe
from training.mesh_rasterizer import render_meshes
from training.object_library import ObjectLibrary


def square(size: int, low: int, high: int) -> torch.Tensor:
    """One picture (1, size, size, 4) of a red square on white."""
    picture = torch.zeros(1, size, size, 4, dtype=torch.uint8)
    picture[..., :3] = 255
    picture[:, low:high, low:high] = torch.tensor([200, 40, 40, 255], dtype=torch.uint8)
    return picture


def filled(pictures: torch.Tensor) -> torch.Tensor:
    """The larger side of what is covered, as a share of the frame."""
    covered = pictures[..., 3] > 127
    return torch.maximum(covered.any(1).sum(1), covered.any(2).sum(1)) / pictures.shape[1]


@pytest.mark.parametrize("low, high", [(2, 50), (5, 57), (16, 58)])
def test_reframed_pictures_are_centered_and_filled_like_cutouts(low, high):
    framed = reframe(square(64, low, high))
    assert filled(framed).item() == pytest.approx(0.75, abs=0.04)
    rows = (framed[0, ..., 3] > 127).any(1).nonzero()
    assert (rows[0] + rows[-1]).item() == pytest.approx(63, abs=2)


def test_pictures_that_would_need_much_zoom_stay():
    tiny = square(64, 30, 36)
    assert torch.equal(reframe(tiny), tiny)


def test_misplaced_pictures_are_a_little_larger_or_smaller_and_moved_a_little():
    pictures = square(128, 40, 88).expand(200, -1, -1, -1)
    covered = misplace(pictures, np.random.default_rng(0))[..., 3].float() / 255
    sizes = covered.sum((1, 2)).sqrt() / 48
    assert sizes.log().std().item() == pytest.approx(0.03, rel=0.2)
    columns = (covered.sum(1) * (torch.arange(128) + 0.5)).sum(1) / covered.sum((1, 2)) / 128
    assert columns.std().item() == pytest.approx(0.01, rel=0.2)
    assert columns.mean().item() == pytest.approx(0.5, abs=0.003)


def test_tones_change_alike_in_all_views_and_never_on_the_background():
    views = torch.cat([square(16, 2, 9), square(16, 5, 14)])[None]
    changed = change_tones(views, 1.0, np.random.default_rng(0))
    assert not torch.equal(changed, views)
    assert torch.equal(changed[0, 0, 4, 4], changed[0, 1, 8, 8])
    assert changed[0, :, 0, 0].eq(torch.tensor([255, 255, 255, 0])).all()
    assert torch.equal(change_tones(views, 0.0, np.random.default_rng(0)), views)


def test_degraded_cutouts_differ_at_the_rim_and_are_white_far_from_the_object():
    pictures = square(64, 16, 48).expand(8, -1, -1, -1)
    torch.manual_seed(0)
    degraded = degrade_cutouts(pictures, 1.0, np.random.default_rng(0)).float()
    difference = (degraded - pictures)[..., :3].abs()
    assert difference[:, :8].max() == 0 and difference[:, :, 56:].max() == 0
    assert difference[:, 24:40, 24:40].mean() < 10 < difference[:, 15:17, 20:44].amax((1, 2, 3)).min()
    assert (degraded[..., :3][degraded[..., 3] == 0] == 255).all()
    assert not torch.equal(degraded[..., 3], pictures[..., 3].float())
    assert torch.equal(degrade_cutouts(pictures, 0.0, np.random.default_rng(0)), pictures)


def test_a_longer_lens_from_further_away_shows_the_object_as_large_and_flatter():
    library = ObjectLibrary([cube(1, (1.0, 1.0, 1.0))], np.ones(1), "cpu")
    meshes, elevation = library.scenes(np.zeros(1, int), np.random.default_rng(0))
    cameras = torch.from_numpy(camera_matrices(elevation, np.zeros(1)))
    rng = np.random.default_rng(8)
    moved, changed = change_lens(cameras, 1.0, rng)
    factor = (moved[0, :3, 3].norm() / cameras[0, :3, 3].norm()).item()
    assert changed.all() and factor > 1.5
    near, far = (render_meshes(meshes, c[:, None], 32)[:, 0] for c in (cameras, moved))
    assert filled(far).item() == pytest.approx(filled(near).item(), abs=0.16)
    assert not torch.equal(near, far)
    unmoved, changed = change_lens(cameras, 0.0, rng)
    assert torch.equal(unmoved, cameras) and not changed.any()
