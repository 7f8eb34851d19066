"""One image of many results, from which anybody can judge what the objects are: no names, nothing selected by hand.

From left to right: the input, four generated views, the mesh in gray, the textured mesh from both sides.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from backend import camera
from backend.data_types import TexturedMesh
from backend.errors import UserError
from backend.options import Options
from backend.pipeline import Pipeline
from backend.progress import ignore_progress
from backend.rendering import raycasting
from procedural.scene import load_held_out

from .baselines import single_color
from .ground_truth import GroundTruth, composite_on_white, select_scenes
from .job_results import load_textured_mesh, load_views
from .report import GROUP_TITLES

SCENES = {"in_distribution": 16, "held_out_families": 8}
"""Group -> number of scenes shown."""
VIEWS = ("1", "2", "3")
"""Generated views shown: a quarter, a half and three quarters around; the fourth is the first of the second ring."""
TILE = 120
"""Pixels along a side of an image in the sheet."""
COLUMNS = 2
"""Shapes side by side."""
GAP = 16
"""Pixels between the columns."""


def make_contact_sheet(options: Options) -> Image.Image:
    """Run the pipeline on the held-out scenes of the sheet; where it fails, a line on stderr says why."""
    pipeline = Pipeline()
    rows: dict[str, list[np.ndarray]] = {}
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as temporary:
        for scene in select_scenes(load_held_out(), SCENES):
            folder = Path(temporary) / scene.name
            folder.mkdir()
            GroundTruth(scene).write_input_image(folder / "input.png")
            try:
                pipeline.generate(folder / "input.png", folder, options, ignore_progress)
            except UserError as error:
                print(f"{scene.name}: {error}", file=sys.stderr, flush=True)
                continue
            rows.setdefault(scene.group, []).append(render_row(load_views(folder), load_textured_mesh(folder)))
    return assemble(rows)


def render_row(views: dict[str, np.ndarray], textured: TexturedMesh) -> np.ndarray:
    """A job's views and its mesh -> eight tiles side by side, (TILE, 8 * TILE, 3) uint8."""
    second_ring = next(name for name in ("4", "8") if name in views)
    tiles = [views[name] for name in ("input", *VIEWS, second_ring)]
    front, back = camera.camera_to_world(70.0, (30.0, 210.0))
    gray = single_color(textured.mesh, np.full(3, 0.75))
    for mesh, pose, shaded in ((gray, front, True), (textured, front, False), (textured, back, False)):
        rendered = composite_on_white(raycasting.render(mesh, pose, TILE, shaded, samples=2))
        tiles.append(np.round(rendered * 255).astype(np.uint8))
    return np.hstack([np.asarray(Image.fromarray(tile).resize((TILE, TILE), Image.Resampling.BOX)) for tile in tiles])


def assemble(rows: dict[str, list[np.ndarray]]) -> Image.Image:
    """The rows of all groups -> the sheet: one group below the other, under its title."""
    font = ImageFont.load_default(GAP + 4)
    width = COLUMNS * 8 * TILE + (COLUMNS - 1) * GAP
    heights = {group: 3 * GAP + -(-len(members) // COLUMNS) * TILE for group, members in rows.items()}
    sheet = Image.new("RGB", (width, sum(heights.values())), "white")
    top = 0
    for group, members in rows.items():
        ImageDraw.Draw(sheet).text((GAP, top + GAP // 2), GROUP_TITLES.get(group, group), fill="black", font=font)
        for index, member in enumerate(members):
            line, column = divmod(index, COLUMNS)
            sheet.paste(Image.fromarray(member), (column * (8 * TILE + GAP), top + 3 * GAP + line * TILE))
        top += heights[group]
    return sheet
