"""Screenshots of a step as different people see it: in the dark and the light theme, and with a larger interface."""

from __future__ import annotations

import subprocess
from pathlib import Path

import bpy
from person import viewport, window

LIGHT = "interface_theme/Blender_Light.xml"


def look(folder: Path, name: str):
    """Save ``NAME-dark.png``, ``NAME-light.png`` and ``NAME-large.png`` into ``folder``; the end of our tab is in view
    where it is longer than the window, if ``name`` ends in a plus."""
    for theme, scale in (("dark", 1.0), ("light", 1.0), ("large", 1.5)):
        _dress(theme, scale)
        yield 0.5
        scroll_to_end(is_wanted=name.endswith("+"))
        yield 0.4
        bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=1)
        path = folder / f"{name.rstrip('+')}-{theme}.png"
        subprocess.run(["maim", str(path)], check=True)  # software OpenGL cannot be read back
        print("LOOK", path.name, flush=True)
    _dress("dark", 1.0)
    scroll_to_end(is_wanted=False)
    yield 0.3


def scroll_to_end(is_wanted: bool) -> None:
    region = next(region for region in viewport().regions if region.type == "UI")
    with bpy.context.temp_override(window=window(), area=viewport(), region=region):
        for _ in range(80):
            (bpy.ops.view2d.scroll_down if is_wanted else bpy.ops.view2d.scroll_up)(deltay=60)


def _dress(theme: str, scale: float) -> None:
    if theme == "light":
        (path,) = (Path(folder) / LIGHT for folder in bpy.utils.preset_paths("") if (Path(folder) / LIGHT).is_file())
        bpy.ops.script.execute_preset(filepath=str(path), menu_idname="USERPREF_MT_interface_theme_presets")
    else:
        bpy.ops.preferences.reset_default_theme()
    bpy.context.preferences.view.ui_scale = scale


def open_panels(*names: str) -> None:
    """Open panels of our tab that are closed at first. No script can press on their headers, so they are registered
    anew, by another name, since Blender remembers that they are closed; with all others, which keeps the order."""
    ours = [
        getattr(bpy.types, name)
        for name in (
            "VIEW3D_PT_image_to_mesh_settings",
            "VIEW3D_PT_image_to_mesh_result",
            "VIEW3D_PT_image_to_mesh_results",
            "VIEW3D_PT_image_to_mesh_more_views",
            "VIEW3D_PT_image_to_mesh_views",
            "VIEW3D_PT_image_to_mesh_text",
        )
    ]
    for panel in reversed(ours):
        bpy.utils.unregister_class(panel)
    for panel in ours:
        if panel.__name__.endswith(names):
            panel.bl_options, panel.bl_idname = set(), f"{panel.__name__}_open"
        bpy.utils.register_class(panel)
