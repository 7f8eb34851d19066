"""Buttons of our tab and objects in the 3D View, found and pressed with the mouse."""

from __future__ import annotations

import time

import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Vector
from person import viewport, window

ROWS = (0.5, 0.25, 0.75)
"""Where buttons are looked for that are as wide as the sidebar or half of it, as shares of its width."""
ICONS = (0.93, 0.41, 0.88, 0.45)
"""The same for buttons that only have an icon, in the places where ours are."""
_STEP = 14
"""Pixels from one row that is looked at to the next, at the usual size of the interface."""
_PATIENCE = 200
"""Seconds until a button has to be there."""


def press_button(command: str, columns: tuple[float, ...] = ROWS, last: bool = False):
    """Press the first or last button of our tab whose Python command, as its context menu copies it, begins so."""
    at = yield from find_button(command, columns, last)
    yield from click(at)
    away = {"x": viewport().x + viewport().width // 2, "y": viewport().y + viewport().height // 2}
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", **away)  # over the button a hint would pop up
    yield 0.1


def find_button(command: str, columns: tuple[float, ...] = ROWS, last: bool = False):
    """Move the mouse over the sidebar until it is on that button, scrolling if need be; returns where that is."""
    deadline, region = time.monotonic() + _PATIENCE, sidebar()
    step = round(_STEP * bpy.context.preferences.view.ui_scale)
    heights = range(2 * step, region.height - 2 * step, step)
    notch = "WHEELDOWNMOUSE"
    while time.monotonic() < deadline:
        for column in columns:
            for y in heights if last else reversed(heights):
                at = {"x": region.x + int(column * (region.width - 20)), "y": region.y + y}
                window().event_simulate(type="MOUSEMOVE", value="NOTHING", **at)
                yield 0.01
                if _command_under_mouse(region).startswith(command):
                    yield 0.3  # a busy Blender may be some movements behind
                    if _command_under_mouse(region).startswith(command):
                        return at
        for _ in range(20):
            window().event_simulate(type=notch, value="PRESS", **at)
        notch = "WHEELUPMOUSE" if notch == "WHEELDOWNMOUSE" else "WHEELDOWNMOUSE"
        yield 0.5
    raise AssertionError(f"no button for {command}")


def click_object(name: str):
    """Select an object by a click on its middle in the 3D View."""
    area, obj = viewport(), bpy.data.objects[name]
    region = next(region for region in area.regions if region.type == "WINDOW")
    shown = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())  # after undo only this one has its place
    middle = shown.matrix_world @ (sum((Vector(corner) for corner in shown.bound_box), Vector()) / 8)
    place = location_3d_to_region_2d(region, area.spaces.active.region_3d, middle)
    yield from click({"x": region.x + int(place.x), "y": region.y + int(place.y)})
    assert bpy.context.active_object == obj and obj.select_get(), bpy.context.active_object


def click(at: dict[str, int]):
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", **at)
    yield 0.1
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type="LEFTMOUSE", value=value, **at)
    yield 0.3


def sidebar() -> bpy.types.Region:
    return next(region for region in viewport().regions if region.type == "UI")


def _command_under_mouse(region: bpy.types.Region) -> str:
    """As the entry Copy Python Command of the context menu gives it, without what all of ours begin with."""
    bpy.context.window_manager.clipboard = ""
    with bpy.context.temp_override(window=window(), area=viewport(), region=region):
        if bpy.ops.ui.copy_python_command_button.poll():
            bpy.ops.ui.copy_python_command_button()
    return bpy.context.window_manager.clipboard.removeprefix("bpy.ops.image_to_mesh.")
