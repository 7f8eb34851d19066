"""Masks of objects on white."""

from __future__ import annotations

import numpy as np
import pytest

from backend.views.zero123.masks import masks_from_white_background

SIZE = 128
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] + 0.5
RADIUS = np.hypot(ROWS - SIZE / 2, COLUMNS - SIZE / 2)


def on_white(color, alpha: np.ndarray, noise: int = 0) -> np.ndarray:
    """(1, SIZE, SIZE, 3) in whole 255ths, with that many of them as noise (one standard deviation)."""
    image = color * alpha[..., None] + 1 - alpha[..., None]
    image = image + np.random.default_rng(0).normal(0, noise / 255, image.shape)
    return (np.floor(np.clip(image, 0, 1) * 255) / 255).astype(np.float32)[None]


@pytest.mark.parametrize("noise", [0, 1, 2])
def test_mask_of_a_disc_is_its_alpha(noise):
    alpha = np.clip(40 - RADIUS, 0, 1)
    (mask,) = masks_from_white_background(on_white(np.array([0.2, 0.5, 0.3]), alpha, noise))
    assert mask.dtype == np.float32
    assert np.abs(mask - alpha).mean() < 0.01
    assert mask[RADIUS > 43].max() == 0
    assert mask[RADIUS < 38].min() == 1


def test_mask_of_a_pale_object_has_a_soft_edge():
    (mask,) = masks_from_white_background(on_white(np.array([0.9, 0.9, 0.9]), np.clip(40 - RADIUS, 0, 1)))
    assert ((mask > 0.1) & (mask < 0.9)).sum() > 50


@pytest.mark.parametrize("white", [0.98, 0.992])
def test_mask_includes_enclosed_white_surfaces(white):
    color = np.where((RADIUS < 15)[..., None], white, [0.2, 0.5, 0.3])
    (mask,) = masks_from_white_background(on_white(color, np.clip(40 - RADIUS, 0, 1)))
    assert mask[RADIUS < 38].min() == 1


def test_mask_includes_all_of_several_enclosed_surfaces():
    """Their edges too: there, a color between white and the object's is no hint at background."""
    spots = np.zeros((SIZE, SIZE))
    for row, column, radius in ((50, 64, 8), (75, 55, 6), (75, 75, 3)):
        spots = np.maximum(spots, np.clip(radius - np.hypot(ROWS - row, COLUMNS - column), 0, 1))
    color = spots[..., None] * 0.985 + (1 - spots[..., None]) * np.array([0.2, 0.5, 0.3])
    (mask,) = masks_from_white_background(on_white(color, np.clip(40 - RADIUS, 0, 1)))
    assert mask[RADIUS < 38].min() == 1


def test_masks_of_many_images_are_those_of_each():
    images = np.concatenate([on_white(np.array([0.2, 0.5, 0.3]), np.clip(r - RADIUS, 0, 1), 2) for r in range(5, 60)])
    masks = masks_from_white_background(images)
    assert (np.diff(masks.sum((1, 2))) > 0).all()
    np.testing.assert_array_equal(masks, np.concatenate([masks_from_white_background(image[None]) for image in images]))


def test_mask_leaves_holes_open():
    alpha = np.clip(40 - RADIUS, 0, 1) * np.clip(RADIUS - 15, 0, 1)
    (mask,) = masks_from_white_background(on_white(np.array([0.2, 0.5, 0.3]), alpha))
    assert mask[RADIUS < 13].max() == 0
    assert np.abs(mask - alpha).mean() < 0.02


def test_mask_excludes_specks():
    alpha = np.clip(40 - RADIUS, 0, 1)
    alpha[5:7, 5:9] = 1
    (mask,) = masks_from_white_background(on_white(np.array([0.2, 0.5, 0.3]), alpha))
    assert mask[:20, :20].max() == 0


def test_mask_is_empty_on_white_and_full_on_black():
    assert masks_from_white_background(np.ones((1, SIZE, SIZE, 3), np.float32)).max() == 0
    assert masks_from_white_background(np.zeros((1, SIZE, SIZE, 3), np.float32)).min() == 1
