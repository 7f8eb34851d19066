"""What a person does in Blender's window, for stories: generators, each ``yield`` of which lets Blender work for that
many seconds. Needs a window and ``--enable-event-simulate``."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

import bpy
from common import module, task_manager

TIMEOUT = 300
"""Seconds for a job to end."""


def run_story(story) -> None:
    """Run a story in the event loop, then end Blender with its status."""
    steps = story()

    def step() -> float | None:
        status = 0
        try:
            return next(steps)
        except StopIteration:
            print("PASSED", story.__module__, bpy.app.version_string)
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    bpy.context.preferences.view.show_splash = False
    bpy.app.timers.register(step, first_interval=2.0)


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


def press(key: str, **modifiers: bool):
    """Press a key over the 3D View, with ``ctrl``, ``shift`` or ``alt`` held down or not."""
    area = viewport()
    at = {"x": area.x + area.width // 3, "y": area.y + area.height // 2}
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type=key, value=value, **modifiers, **at)
    yield 0.3


def drop(area_type: str, folder: Path, *names: str) -> None:
    """Drop files of ``folder`` on an area, as Blender's own drop operator has it."""
    area = next(area for area in window().screen.areas if area.type == area_type)
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window(), area=area, region=region):
        dropped = [{"name": name} for name in names]
        bpy.ops.wm.drop_import_file("INVOKE_DEFAULT", directory=str(folder), files=dropped)


def play_and_press_escape():
    """Start the playback of the timeline with the space bar, and end it with Esc."""
    yield from press("SPACE")
    yield 0.5
    assert window().screen.is_animation_playing
    yield from press("ESC")
    assert not window().screen.is_animation_playing


def autosave_to(folder: Path) -> None:
    """Have Blender save every minute into ``folder``."""
    files = bpy.context.preferences.filepaths
    files.use_auto_save_temporary_files, files.auto_save_time = True, 1
    files.temporary_directory = str(folder)


def has_autosaved(folder: Path) -> bool:
    """Whether Blender has, which it does when something has changed and no modal operator runs."""
    bpy.ops.ed.undo_push(message="Some work")
    return any(folder.glob("*autosave*.blend"))


def paused(task, condition):
    """Hold up the backend of a running job until ``condition``: a job that takes minutes."""
    os.kill(task.backend.hello["pid"], signal.SIGSTOP)
    try:
        yield from until(condition)
    finally:
        os.kill(task.backend.hello["pid"], signal.SIGCONT)


def is_running() -> bool:
    """Whether a mesh is being made."""
    return task_manager().running(module("operators.reconstruction").ReconstructionTask) is not None


def until(condition):
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < TIMEOUT, "it took too long"
        yield 0.2


def window():
    return bpy.context.window_manager.windows[0]


def viewport():
    return next(area for area in window().screen.areas if area.type == "VIEW_3D")
