"""One image of many results, from which anybody can judge what the objects are: no names, nothing selected by hand.

From left to right: the input, generated views, the mesh in gray, the textured mesh from both sides.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from backend import camera
from backend.data_types import TexturedMesh, Views
from backend.errors import UserError
from backend.options import Options
from backend.pipeline import Pipeline
from backend.rendering import raycasting

from .baselines import single_color
from .ground_truth import GroundTruth, composite_on_white
from .jobs import reconstruct
from .report import GROUP_TITLES
from .shapes import Shape, select_shapes

SHAPES = {"in_distribution": 16, "held_out_families": 8, "real_objects": 16}
"""Group -> number of shapes shown."""
VIEWS = ("1", "2", "3", "4", "8", "above")
"""Generated views shown, those of them that there are: a quarter, a half and three quarters around; the first of the
second ring, which lies below the first or above it; from above, which only joint weights generate."""
TILE = 120
"""Pixels along a side of an image in the sheet."""
COLUMNS = 2
"""Shapes side by side."""
GAP = 16
"""Pixels between the columns."""


def make_contact_sheet(options: Options, shapes: Sequence[Shape]) -> Image.Image:
    """Run the pipeline on the sheet's share of ``shapes``; where it fails, a line on stderr says why."""
    pipeline = Pipeline()
    rows: dict[str, list[np.ndarray]] = {}
    for shape in select_shapes(shapes, SHAPES):
        try:
            made = reconstruct(pipeline, GroundTruth(shape).picture(), options)
        except UserError as error:
            print(f"{shape.name}: {error}", file=sys.stderr, flush=True)
            continue
        rows.setdefault(shape.group, []).append(render_row(made.views, made.textured))
    return assemble(rows)


def render_row(views: Views, textured: TexturedMesh) -> np.ndarray:
    """A job's views and its mesh -> tiles side by side, (TILE, N * TILE, 3) uint8."""
    by_name = dict(zip(views.names, views.images, strict=True))
    tiles = [by_name[name] for name in ("input", *VIEWS) if name in by_name]
    front, back = camera.camera_to_world(70.0, (30.0, 210.0))
    gray = single_color(textured.mesh, np.full(3, 0.75))
    for mesh, pose, shaded in ((gray, front, True), (textured, front, False), (textured, back, False)):
        tiles.append(composite_on_white(raycasting.render(mesh, pose[None], TILE, shaded, samples=2)[0]))
    images = [Image.fromarray(np.round(tile.clip(0, 1) * 255).astype(np.uint8)) for tile in tiles]
    return np.hstack([np.asarray(image.resize((TILE, TILE), Image.Resampling.BOX)) for image in images])


def assemble(rows: dict[str, list[np.ndarray]]) -> Image.Image:
    """The rows of all groups -> the sheet: one group below the other, under its title."""
    font = ImageFont.load_default(GAP + 4)
    row_width = max((member.shape[1] for members in rows.values() for member in members), default=TILE)
    width = COLUMNS * row_width + (COLUMNS - 1) * GAP
    heights = {group: 3 * GAP + -(-len(members) // COLUMNS) * TILE for group, members in rows.items()}
    sheet = Image.new("RGB", (width, sum(heights.values())), "white")
    top = 0
    for group, members in rows.items():
        ImageDraw.Draw(sheet).text((GAP, top + GAP // 2), GROUP_TITLES.get(group, group), fill="black", font=font)
        for index, member in enumerate(members):
            line, column = divmod(index, COLUMNS)
            sheet.paste(Image.fromarray(member), (column * (row_width + GAP), top + 3 * GAP + line * TILE))
        top += heights[group]
    return sheet
