"""Which shapes the contact sheet shows, and how."""

from __future__ import annotations

import numpy as np

from benchmark import contact_sheet
from benchmark.shapes import ProceduralShape, select_shapes
from tests.helpers.ball_scene import ball_scene


def test_contact_sheet_selects_shapes_evenly():
    scenes = [ball_scene(f"s{number}") for number in range(31)]
    scenes += [ball_scene(f"f{number}", "held_out_families") for number in range(9)]
    selected = select_shapes([ProceduralShape(scene) for scene in scenes], contact_sheet.SHAPES)
    assert [shape.name for shape in selected][:2] == ["s0", "s2"]
    assert len(selected) == 24


def test_contact_sheet_puts_rows_below_their_groups_title():
    tile, gap = contact_sheet.TILE, contact_sheet.GAP
    noise = np.random.default_rng(0).integers(0, 255, (tile, 8 * tile, 3), np.uint8)
    sheet = contact_sheet.assemble({"in_distribution": [noise] * 16, "held_out_families": [noise] * 7})
    assert sheet.size[1] > 12 * tile
    corner = np.asarray(sheet)[3 * gap :, : 8 * tile]
    np.testing.assert_array_equal(corner[:tile], noise)
