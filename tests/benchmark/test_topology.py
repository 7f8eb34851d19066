"""Numbers of handles, of meshes that have a known one."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from backend.data_types import Mesh
from benchmark.topology import genus, genus_of_union

FAR = (3, 0, 0)
RING = trimesh.creation.annulus(r_min=0.3, r_max=0.5, height=0.2)
BALL = trimesh.creation.icosphere(radius=0.2)
TORUS = trimesh.creation.torus(0.4, 0.1)


def box(extents, center):
    return trimesh.creation.box(extents).apply_translation(center)


def joined(*solids):
    whole = trimesh.util.concatenate(solids)
    return Mesh(whole.vertices.astype(np.float32), whole.faces.astype(np.int32))


FRAME = [box((1, 0.2, 0.2), (0, 0, z)) for z in (0, 0.8)] + [box((0.2, 0.2, 1), (x, 0, 0.4)) for x in (-0.4, 0.4)]


@pytest.mark.parametrize(
    ("solids", "expected"),
    [
        ([BALL], 0),
        ([TORUS], 1),
        ([RING], 1),
        ([TORUS, BALL], 1),
        ([TORUS, RING.copy().apply_translation(FAR)], 2),
    ],
    ids=["ball", "torus", "ring", "torus and ball", "torus and ring"],
)
def test_genus_counts_the_handles_of_closed_meshes(solids, expected):
    assert genus(joined(*solids).faces) == expected


@pytest.mark.parametrize("solid", [BALL, TORUS, RING])
def test_open_meshes_have_no_genus(solid):
    opened = Mesh(solid.vertices.astype(np.float32), solid.faces[1:].astype(np.int32))
    assert genus(opened.faces) is None
    assert genus_of_union(opened) is None


@pytest.mark.parametrize(
    ("solids", "expected"),
    [
        ([TORUS], 1),
        (FRAME, 1),
        (FRAME[:3], 0),
        ([*FRAME, box((0.2, 0.2, 1), (0, 0, 0.4))], 2),
        ([BALL, TORUS.copy().apply_translation(FAR)], 1),
        ([box((2, 2, 2), (0, 0, 0)), TORUS], 0),
    ],
    ids=["one part", "frame", "open frame", "frame with a bar", "the larger of two", "hidden inside"],
)
def test_parts_that_intersect_are_joined_before_handles_are_counted(solids, expected):
    assert genus_of_union(joined(*solids)) == expected
