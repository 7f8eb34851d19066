"""What a person does in Blender's window: operator search, cancelling, the result and its undo step.

Needs a window and ``--enable-event-simulate``. Each ``yield`` lets Blender work for that many seconds.
"""

from __future__ import annotations

import os
import sys
import time
import traceback

import bpy
from common import arguments, check_object, counts, disc, install, module, reconstruction, task_manager, use_backend

TIMEOUT = 180
"""Seconds for a job to end."""


def story():
    package, folder, python, weights = arguments()
    install(package)
    use_backend(python, weights)
    bpy.context.scene.image_to_mesh.image = image = disc()
    image.pack()  # Blender 4.3's undo loses unsaved pixels
    yield from open_tab()
    bpy.ops.ed.undo_push(message="What this script has set")

    before = counts()
    yield from search("image to mesh")
    assert is_running(), "operator search (F3) did not start it"
    assert not window().modal_operators, "an operator runs as long as the job"
    yield from press("ESC")
    yield 1.0
    assert is_running(), "Esc, which may be meant for something else, cancelled the job"
    bpy.ops.image_to_mesh.cancel(task=reconstruction().id)
    yield from until(lambda: not is_running())
    assert reconstruction().error.code == "cancelled" and counts() == before

    bpy.ops.ed.undo_push(message="What is undone during the job")
    yield from search("image to mesh")
    assert is_running()
    bpy.ops.ed.undo()
    yield from until(lambda: not is_running())
    task = reconstruction()
    assert task.added, task.error
    check_object(bpy.context.view_layer.objects["disc"])
    bpy.ops.ed.undo()
    assert counts() == before, f"{before} became {counts()}: undo did not take back the whole result in one step"
    bpy.ops.ed.redo()
    check_object(bpy.context.view_layer.objects["disc"])

    sheet = task.folder / "views.png"
    assert task.preview.name == sheet.name and module("panels.preview").icon_of(sheet) > 0

    bpy.context.scene.image_to_mesh.weights = str(folder / "nothing")
    before = counts()
    yield from search("image to mesh")
    yield from until(lambda: not is_running())
    yield 1.0
    assert reconstruction().error.code == "weights_missing", reconstruction().error
    assert counts() == before, f"{before} became {counts()}"
    if screenshot := os.environ.get("IMAGE_TO_MESH_SHOT"):  # for a person to check how the error is shown
        open(screenshot, "w").close()
        yield 5.0
    assert not task_manager().is_running()


def is_running() -> bool:
    return task_manager().running(module("operators.reconstruction").ReconstructionTask) is not None


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
        assert time.monotonic() - start < TIMEOUT, "it took too long"
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
