"""The procedural families: finite, small, in one piece, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from procedural.sampling import FAMILIES, HELD_OUT_FAMILIES, sample, sample_family
from procedural.schema import MAX_PRIMITIVES, ROW_LENGTH, Column, Operation
from procedural.sdf import object_distance

VOXELS = 48


def _grid(low: np.ndarray, high: np.ndarray, size: int) -> torch.Tensor:
    axes = [torch.linspace(float(a), float(b), size) for a, b in zip(low, high, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def component_sizes(rows: np.ndarray) -> np.ndarray:
    """Voxel counts of the scene's connected components, largest first, on a grid fitted to it."""
    added = rows[rows[:, Column.OPERATION] != Operation.SUBTRACT]
    sizes = np.abs(added[:, [Column.A, Column.B, Column.C, Column.HALF_DEPTH]]).sum(1)
    reach = float((np.linalg.norm(added[:, Column.CENTER : Column.ROTATION], axis=1) + sizes).max())
    low, high = np.full(3, -reach), np.full(3, reach)
    tensor = torch.from_numpy(rows)
    for _ in range(2):
        cell = float((high - low).max()) / VOXELS
        points = _grid(low, high, VOXELS)
        inside = object_distance(tensor, points)[0] < cell
        occupied = points[inside].numpy()
        assert len(occupied), "the scene is empty"
        low, high = occupied.min(0) - cell, occupied.max(0) + cell
    side = float((high - low).max())
    cell = side / VOXELS
    middle = (low + high) / 2
    points = _grid(middle - side / 2, middle + side / 2, VOXELS)
    solid = (object_distance(tensor, points)[0] < 0.4 * cell).numpy().reshape((VOXELS,) * 3)
    labels, count = ndimage.label(solid, np.ones((3, 3, 3)))
    return np.sort(np.bincount(labels.ravel(), minlength=count + 1)[1:])[::-1]


@pytest.mark.parametrize("family", [*FAMILIES, *HELD_OUT_FAMILIES])
def test_scenes_are_finite_small_and_repeatable(family):
    for seed in range(40):
        rows = sample(family, seed)
        assert rows.dtype == np.float32
        assert rows.shape[1] == ROW_LENGTH
        assert 1 <= len(rows) <= MAX_PRIMITIVES == 20
        assert np.isfinite(rows).all()
        assert ((rows[:, Column.COLOR_A : Column.PATTERN] >= 0) & (rows[:, Column.COLOR_A : Column.PATTERN] <= 1)).all()
        rotations = rows[:, Column.ROTATION : Column.OPERATION].reshape(-1, 3, 3)
        assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-2)
        assert np.array_equal(rows, sample(family, seed))
    assert not np.array_equal(sample(family, 0), sample(family, 1))


@pytest.mark.parametrize("family", [*FAMILIES, *HELD_OUT_FAMILIES])
def test_scenes_are_one_piece(family):
    torch.set_num_threads(1)
    for seed in range(2):
        counts = component_sizes(sample(family, seed))
        assert len(counts) == 1, f"{family} {seed}: components of {counts.tolist()} voxels"


def test_sample_family_never_gives_a_held_out_family():
    assert not set(FAMILIES) & set(HELD_OUT_FAMILIES)
    rng = np.random.default_rng(0)
    sampled = [sample_family(rng) for _ in range(2000)]
    assert set(sampled) == set(FAMILIES)
    assert sampled.count("composite") > 2 * len(sampled) / len(FAMILIES)
