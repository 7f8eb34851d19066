"""How much of the image's silhouette a mesh covers."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from backend import camera
from backend.data_types import Mesh
from backend.rendering.silhouette import missing_warning, silhouette_recall

POSE = camera.camera_to_world(80.0, 25.0)


def as_mesh(part: trimesh.Trimesh) -> Mesh:
    return Mesh(part.vertices.astype(np.float32), part.faces.astype(np.int32))


def silhouette(part: trimesh.Trimesh, size: int = 96) -> np.ndarray:
    """The mask that a mesh has by trimesh's own rays."""
    origins, directions = (array.reshape(-1, 3) for array in camera.rays(POSE, size))
    return part.ray.intersects_any(origins, directions).reshape(size, size).astype(np.float32)


BALL = trimesh.creation.icosphere(subdivisions=3, radius=0.3)
LAMP = trimesh.util.concatenate([BALL, trimesh.creation.cylinder(0.03, 0.9)])


@pytest.mark.parametrize("part", [BALL, LAMP])
def test_a_mesh_covers_its_own_silhouette(part):
    assert silhouette_recall(as_mesh(part), silhouette(part), POSE) == pytest.approx(1, abs=0.01)


def test_what_is_missing_is_counted_and_more_than_the_image_shows_is_not():
    mask = silhouette(LAMP)
    expected = (silhouette(BALL) * mask).sum() / mask.sum()
    assert silhouette_recall(as_mesh(BALL), mask, POSE) == pytest.approx(expected, abs=0.01) and expected < 0.97
    assert silhouette_recall(as_mesh(LAMP), silhouette(BALL), POSE) == pytest.approx(1, abs=0.01)


def test_an_empty_mask_lacks_nothing():
    assert silhouette_recall(as_mesh(BALL), np.zeros((8, 8), np.float32), POSE) == 1


@pytest.mark.parametrize("recall, said", [(1.0, None), (0.86, None), (0.84, "16%"), (0.3, "70%")])
def test_what_is_missing_is_said(recall, said):
    warning = missing_warning(recall)
    assert warning is None if said is None else warning is not None and warning.startswith(said)
