"""From the press of the button to the cutout in the panel: within a second once the backend runs, and to the better one
that takes its place. Mouse and keys are not simulated, for which Blender would take a whole core: the script calls what
the button calls."""

from __future__ import annotations

import time
from pathlib import Path

import bpy
import numpy as np
from common import PACKAGE, arguments, install, reconstruction, use_backend
from mouse import sidebar
from person import is_running, open_tab, run_story, until, viewport, window

MUG = Path(__file__).resolve().parents[2] / "examples" / "mug.png"
SIZES = ((640, 480), (1200, 900), (4000, 3000))
LONGEST = 3.0
"""Seconds; more than twice what it takes, since the machine may be busy with other programs."""


def photograph(folder: Path, width: int, height: int) -> bpy.types.Image:
    """The mug in front of a wall, as a JPEG file."""
    mug = bpy.data.images.load(str(MUG))
    mug.scale(height // 2, height // 2)
    pixels = np.empty((height // 2, height // 2, 4), np.float32)
    mug.pixels.foreach_get(pixels.ravel())
    bpy.data.images.remove(mug)
    noise = np.random.default_rng(0).normal(0, 0.012, (height, width, 1))
    shade = np.linspace(0.45, 0.8, height)[:, None, None] + noise
    scene = np.concatenate([shade * (1, 0.97, 0.9), np.ones_like(shade)], -1).astype(np.float32)
    top, left = height // 4, (width - height // 2) // 2
    behind, alpha = scene[top : top + height // 2, left : left + height // 2, :3], pixels[..., 3:]
    behind[:] = behind * (1 - alpha) + pixels[..., :3] * alpha
    image = bpy.data.images.new("photograph", width, height)
    image.pixels.foreach_set(scene.ravel())
    image.filepath_raw, image.file_format = str(folder / f"{width}.jpg"), "JPEG"
    image.save()
    bpy.data.images.remove(image)
    return bpy.data.images.load(str(folder / f"{width}.jpg"))


def story():
    package, folder, python, weights = arguments()
    install(package)
    use_backend(python, weights)
    bpy.context.preferences.addons[PACKAGE].preferences.check_cutout = "WAIT"
    yield from open_tab()
    seen: list[float] = []
    final: list[float] = []

    def look() -> None:
        task = reconstruction()
        if task is not None and task.check is not None and task.check.is_shown:
            (seen if task.check.is_draft else final).append(time.monotonic())

    handler = bpy.types.SpaceView3D.draw_handler_add(look, (), "UI", "POST_PIXEL")
    for width, height in SIZES:
        bpy.context.scene.image_to_mesh.image = photograph(folder, width, height)
        yield 2.0  # Blender makes a preview of it
        for again in ("first", "again"):
            seen.clear()
            final.clear()
            pressed = time.monotonic()
            with bpy.context.temp_override(window=window(), area=viewport(), region=sidebar()):
                bpy.ops.image_to_mesh.generate("INVOKE_DEFAULT")
            while not final:
                assert time.monotonic() - pressed < 30, "no cutout is shown"
                yield 0.02
            assert seen, "no draft is shown"
            seconds = seen[0] - pressed
            print(f"{width} x {height}, {again}: {seconds:.2f} s, then {final[0] - pressed:.2f} s", flush=True)
            assert reconstruction().check.method == "u2netp", reconstruction().check.method
            assert seconds < LONGEST or width == SIZES[0][0], seconds
            yield 4.0  # the networks are loaded meanwhile
            bpy.ops.image_to_mesh.cancel(task=reconstruction().id)
            yield from until(lambda: not is_running())
            yield 0.5
    bpy.types.SpaceView3D.draw_handler_remove(handler, "UI")


run_story(story)
