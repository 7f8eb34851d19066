"""What a person does in Blender's window: operator search, Esc, the result and its undo step.

Needs a window and ``--enable-event-simulate``. Each ``yield`` lets Blender work for that many seconds.
"""

from __future__ import annotations

import os
import sys
import time
import traceback

import bpy
from common import arguments, check_object, counts, disc, install, part, use_backend

PATIENCE = 60
"""Seconds for a job to end."""


def story():
    package, folder, python, weights = arguments()
    install(package)
    use_backend(python, weights)
    bpy.context.scene.image_to_mesh.image = disc()
    jobs = part("operators.job")
    yield from open_tab()
    bpy.ops.ed.undo_push(message="What this script has set")

    before = counts()
    yield from search("image to mesh")
    assert jobs.is_running(), "operator search (F3) did not start it"
    yield from press("ESC")
    yield from until(lambda: not jobs.is_running())
    assert jobs.current.error.code == "cancelled" and counts() == before

    yield from search("image to mesh")
    yield from until(lambda: not jobs.is_running())
    yield from until(lambda: jobs.current.placed or jobs.current.error)
    assert jobs.current.placed, jobs.current.error
    check_object(bpy.context.view_layer.objects["disc"])
    bpy.ops.ed.undo()
    assert counts() == before, f"{before} became {counts()}: undo did not take back the whole result in one step"
    bpy.ops.ed.redo()
    check_object(bpy.context.view_layer.objects["disc"])

    sheet = jobs.current.folder / "views.png"
    assert jobs.current.preview.name == sheet.name and part("panels.preview").icon_of(sheet) > 0

    bpy.context.scene.image_to_mesh.weights = str(folder / "nothing")
    before = counts()
    yield from search("image to mesh")
    yield from until(lambda: not jobs.is_running())
    yield 1.0
    assert jobs.current.error.code == "weights_missing" and counts() == before
    if shot := os.environ.get("IMAGE_TO_MESH_SHOT"):  # for a look at the report with one's own eyes
        open(shot, "w").close()
        yield 5.0


def open_tab():
    """Show our tab in the sidebar; it can only be chosen once the sidebar has been drawn."""
    area = viewport()
    area.spaces.active.show_region_ui = True
    region = next(region for region in area.regions if region.type == "UI")
    while region.active_panel_category != "Image to Mesh":
        yield 0.3
        try:
            region.active_panel_category = "Image to Mesh"
        except AttributeError:  # read-only until then
            area.tag_redraw()
    yield 0.3


def search(words: str):
    """Operator search over the 3D View: F3, the words, Enter."""
    area = viewport()
    at = {"x": area.x + area.width // 3, "y": area.y + area.height // 2}
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", **at)
    yield 0.5
    yield from press("F3")
    yield 1.0
    for letter in words:
        key = "SPACE" if letter == " " else letter.upper()
        window().event_simulate(type=key, value="PRESS", unicode=letter, **at)
        window().event_simulate(type=key, value="RELEASE", **at)
        yield 0.05
    yield 1.0
    yield from press("RET")
    yield 0.5


def press(key: str):
    area = viewport()
    at = {"x": area.x + area.width // 3, "y": area.y + area.height // 2}
    window().event_simulate(type=key, value="PRESS", **at)
    window().event_simulate(type=key, value="RELEASE", **at)
    yield 0.3


def until(condition):
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < PATIENCE, "it took too long"
        yield 0.2


def window():
    return bpy.context.window_manager.windows[0]


def viewport():
    return next(area for area in window().screen.areas if area.type == "VIEW_3D")


def step() -> float | None:
    try:
        return next(steps)
    except StopIteration:
        print("PASSED", __name__, bpy.app.version_string)
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


bpy.context.preferences.view.show_splash = False
steps = story()
bpy.app.timers.register(step, first_interval=2.0)
