"""What the tasks show of themselves: panels redrawn, the status bar."""

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
