"""What a person does in Blender's window, for stories: generators, each ``yield`` of which lets Blender work for that
many seconds. Needs a window and ``--enable-event-simulate``."""

from __future__ import annotations

import os
import sys
import time
import traceback

import bpy

TIMEOUT = 600
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
