"""One picture of many results, so that a stranger can say what the objects are: no names on it, nothing picked by hand.

Of each shape from left to right: the input, four generated views, the mesh in gray, the textured mesh from both sides.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from backend import camera
from backend.rendering import raycasting
from backend.types import TexturedMesh

from .baselines import painted
from .ground_truth import on_white
from .report import GROUPS

SHAPES = {"in_distribution": 16, "held_out_families": 8}
"""How many of each group."""
VIEWS = ("1", "2", "3")
"""Generated views shown: a quarter, a half and three quarters around; the fourth is the first of the second ring."""
TILE = 120
ACROSS = 2
"""Shapes side by side."""
GAP = 16


def row(folder: Path, textured: TexturedMesh) -> np.ndarray:
    """A finished job's folder and its mesh -> eight tiles in a row, (TILE, 8 * TILE, 3) uint8."""
    with np.load(folder / "views.npz") as arrays:
        views = dict(zip(arrays["names"].tolist(), arrays["images"], strict=True))
    second_ring = next(name for name in ("4", "8") if name in views)
    tiles = [views[name] for name in ("input", *VIEWS, second_ring)]
    front, back = camera.camera_to_world(70.0, (30.0, 210.0))
    gray = painted(textured.mesh, np.full(3, 0.75))
    for mesh, pose, shaded in ((gray, front, True), (textured, front, False), (textured, back, False)):
        tiles.append(np.round(on_white(raycasting.render(mesh, pose, TILE, shaded, samples=2)) * 255).astype(np.uint8))
    return np.hstack([np.asarray(Image.fromarray(tile).resize((TILE, TILE), Image.Resampling.BOX)) for tile in tiles])


def draw(rows: dict[str, list[np.ndarray]]) -> Image.Image:
    """Rows of each group -> the sheet: groups below each other, each under its title."""
    font = ImageFont.load_default(GAP + 4)
    width = ACROSS * 8 * TILE + (ACROSS - 1) * GAP
    heights = {group: 3 * GAP + -(-len(members) // ACROSS) * TILE for group, members in rows.items()}
    sheet = Image.new("RGB", (width, sum(heights.values())), "white")
    top = 0
    for group, members in rows.items():
        ImageDraw.Draw(sheet).text((GAP, top + GAP // 2), GROUPS.get(group, group), fill="black", font=font)
        for index, member in enumerate(members):
            down, right = divmod(index, ACROSS)
            sheet.paste(Image.fromarray(member), (right * (8 * TILE + GAP), top + 3 * GAP + down * TILE))
        top += heights[group]
    return sheet
