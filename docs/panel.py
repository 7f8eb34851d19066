"""Make docs/setup.png and docs/panel.png: ``blender --factory-startup --python docs/panel.py`` (a window of 1600 x 1000
pixels; the backend installed in its usual folder).

The pictures in the repository are reduced to 128 colors: ``Image.open(path).convert("RGB").quantize(128, dither=0)``.
setup.png is cropped before to ``(1020, 80, 1320, 420)``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import bpy
from mathutils import Euler

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples"))

from image_to_mesh import enable_extension  # noqa: E402


def story():
    """Each ``yield`` lets Blender work for that many seconds."""
    package = enable_extension(Path(tempfile.mkdtemp()))
    preferences = bpy.context.preferences.addons[package.__name__].preferences
    preferences.home = str(Path.home() / "image-to-mesh")  # where there is no backend yet
    bpy.data.batch_remove(list(bpy.data.objects))
    bpy.context.scene.image_to_mesh.image = bpy.data.images.load(str(ROOT / "examples" / "teddy.png"))
    area = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "UI")
    view = area.spaces.active
    view.show_region_ui, view.shading.type, view.shading.light = True, "SOLID", "FLAT"
    view.shading.color_type = "TEXTURE"
    while region.active_panel_category != "Image to Mesh":
        yield 0.3
        try:
            region.active_panel_category = "Image to Mesh"
        except AttributeError:  # read-only until the sidebar has been drawn
            area.tag_redraw()
    bpy.context.preferences.system.use_online_access = True
    yield 2.0
    save_screenshot("setup.png")
    preferences.home = ""
    yield 1.0
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.image_to_mesh.generate("INVOKE_DEFAULT")
    while bpy.context.active_object is None:
        yield 1.0
    view.region_3d.view_rotation = Euler((1.35, 0, 0.35)).to_quaternion()
    view.region_3d.view_location = (0.25, 0, 0.45)
    view.region_3d.view_distance = 2.4
    yield 2.0
    save_screenshot("panel.png")


def save_screenshot(name: str) -> None:
    bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=1)
    screenshot = str(ROOT / "docs" / name)
    if shutil.which("maim"):  # software OpenGL cannot be read back, so the X server is asked for the whole screen
        subprocess.run(["maim", screenshot], check=True)
    else:
        bpy.ops.screen.screenshot(filepath=screenshot)


def step() -> float | None:
    try:
        return next(steps)
    except StopIteration:
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


bpy.context.preferences.view.show_splash = False
steps = story()
bpy.app.timers.register(step, first_interval=2.0)
