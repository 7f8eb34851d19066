"""The views of a result as small images, with what can be changed in each."""

from __future__ import annotations

from pathlib import Path

import bpy
import bpy.utils.previews
import numpy as np

from ..operators.view_sheet import SheetView, views_of

_ACTIONS = (("SEED", "FILE_REFRESH"), ("IMAGE", "IMAGE_DATA"), ("DROP", "X"))


def draw_sheet(layout, obj: bpy.types.Object, folder: Path) -> bool:
    """The views that the job in ``folder`` used, with buttons; False where there are none to show."""
    views = views_of(folder)
    if not views:
        return False
    changes = obj.image_to_mesh_edits.changes
    grid = layout.grid_flow(row_major=True, columns=3, even_columns=True, align=True)
    for view, icon in zip(views, _icons(folder, views), strict=True):
        change = changes.get(view.name)
        cell = grid.box().column(align=True)
        shown = cell.column()
        shown.active = change is None
        shown.template_icon(icon, scale=3.5)
        row = cell.row()
        row.alignment = "CENTER"
        row.label(text=view.label)
        if view.name != "input":
            _draw_buttons(cell.row(align=True), view, change)
    return True


def _draw_buttons(row, view: SheetView, change) -> None:
    for action, icon in _ACTIONS:
        if action == "SEED" and not view.is_generated:
            continue
        button = row.operator(
            "image_to_mesh.change_view", text="", icon=icon, depress=change is not None and change.action == action
        )
        button.view, button.action = view.name, action
    if change is not None and change.action == "SEED":  # pressed again, it takes the next seed
        button = row.operator("image_to_mesh.change_view", text="", icon="LOOP_BACK")
        button.view, button.action = view.name, "KEEP"


def _icons(folder: Path, views: tuple[SheetView, ...]) -> list[int]:
    """The numbers of icons that show the views."""
    icons = bpy.types.WindowManager.image_to_mesh_sheet
    keys = [f"{folder} {id(view)}" for view in views]
    if any(key not in icons for key in keys):
        icons.clear()
        for key, view in zip(keys, views, strict=True):
            size = len(view.image)
            pixels = np.ones((size, size, 4), np.float32)
            pixels[..., :3] = view.image[::-1] / np.float32(255)
            preview = icons.new(key)
            preview.image_size = size, size
            preview.image_pixels_float.foreach_set(pixels.ravel())
    return [icons[key].icon_id for key in keys]


def register() -> None:
    bpy.types.WindowManager.image_to_mesh_sheet = bpy.utils.previews.new()


def unregister() -> None:
    bpy.utils.previews.remove(bpy.types.WindowManager.image_to_mesh_sheet)
    del bpy.types.WindowManager.image_to_mesh_sheet
