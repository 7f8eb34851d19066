"""What the tasks show of themselves: panels redrawn, the status bar, the question before Blender quits."""

from __future__ import annotations

import bpy

_PANEL_REGIONS = {"VIEW_3D": "UI", "IMAGE_EDITOR": "UI", "PREFERENCES": "WINDOW"}
"""Type of area -> type of its region that shows a panel of ours."""


def redraw_panels() -> None:
    """Redraw our panels, and nothing else: the viewport beside a sidebar may be expensive to draw."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions:
                if region.type == _PANEL_REGIONS.get(area.type):
                    region.tag_redraw()


def set_status(text: str | None) -> None:
    """Show a line in the status bar; None gives it back to Blender."""
    for workspace in bpy.data.workspaces:
        workspace.status_text_set(text)


def mark_file_changed() -> None:
    """Make Blender ask before it quits, as it does with unsaved changes: a running task would end with it.

    Only an undo step can do that; none is added in the middle of a modal operator's changes.
    """
    windows = bpy.context.window_manager.windows
    if bpy.data.is_dirty or bpy.app.background or any(len(window.modal_operators) for window in windows):
        return
    with bpy.context.temp_override(window=windows[0]):
        if bpy.ops.ed.undo_push.poll():  # not while rendering
            bpy.ops.ed.undo_push(message="Start Image to Mesh")
