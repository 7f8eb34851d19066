"""A running job leaves Blender alone: no viewport is drawn, the main thread is free, files are autosaved."""

from __future__ import annotations

import time

import bpy
import numpy as np
from common import arguments, disc, install, module, reconstruction, task_manager, use_backend
from person import autosave_to, has_autosaved, open_tab, paused, run_story, until, viewport

LONGEST_GAP = 0.05
"""Seconds of the main thread's own time between two turns of the event loop while a job runs."""
LONGEST_IMPORT = 0.5
"""Seconds of the main thread's own time to put 8,000 faces with a texture into the scene."""


class Watch:
    """Counts the draws of the 3D View, and measures how long the main thread is kept, from one tick to the next.

    Its own time counts, not the clock's: the machine may be busy with other programs.
    """

    def __init__(self):
        self.draws = 0
        self.gaps: list[tuple[float, str]] = []
        """Seconds, and what the job was doing."""
        self.import_gap = 0.0
        self._last = time.thread_time()
        self._handler = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")
        self._timer = self._tick  # Blender compares timers by identity
        bpy.app.timers.register(self._timer)

    def stop(self) -> None:
        bpy.types.SpaceView3D.draw_handler_remove(self._handler, "WINDOW")
        bpy.app.timers.unregister(self._timer)

    def _draw(self) -> None:
        if not reconstruction().finished:
            self.draws += 1

    def _tick(self) -> float:
        now = time.thread_time()
        if not reconstruction().finished:
            self.gaps.append((now - self._last, reconstruction().text))
        elif not self.import_gap:
            self.import_gap = now - self._last
        self._last = now
        return 0.01


LONGEST_COPY = 1.0
"""Seconds of the main thread's own time to copy 4096 x 4096 pixels, and for anything else until they are a file. Only
the main thread may read them; Blender 4.3 takes 0.3 to 0.7 seconds for the 268 MB, depending on what else runs."""


def large_disc() -> bpy.types.Image:
    """The disc with 4096 x 4096 scene-linear pixels."""
    small = disc()
    pixels = np.empty((128, 128, 4), np.float32)
    small.pixels.foreach_get(pixels.ravel())
    bpy.data.images.remove(small)
    image = bpy.data.images.new("large", 4096, 4096, alpha=True, float_buffer=True)
    image.pixels.foreach_set(np.kron(pixels, np.ones((32, 32, 1), np.float32)).ravel())
    return image


def check_large_image():
    """The pixels of a large image are written in a thread; then the job begins by itself."""
    conversion = module("operators.image_conversion").ImageConversion
    bpy.context.scene.image_to_mesh.image = large_disc()
    yield 5.0  # Blender makes a preview of it
    gaps, last = [], time.thread_time()
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=viewport()):
        assert bpy.ops.image_to_mesh.generate("INVOKE_DEFAULT") == {"FINISHED"}
    before = reconstruction()
    while task_manager().running(conversion) is not None:
        now = time.thread_time()
        gaps.append(now - last)
        last = now
        yield 0.01
    assert task_manager().latest(conversion).error is None and reconstruction() is not before
    assert gaps and max(gaps) < LONGEST_COPY, f"the main thread was kept for {max(gaps):.2f} s"
    print(f"{len(gaps)} ticks while the image was written, the longest {max(gaps):.3f} s of CPU")
    bpy.ops.image_to_mesh.cancel()
    yield from until(lambda: reconstruction().finished)


def story():
    package, folder, python, weights = arguments()
    install(package)
    use_backend(python, weights)
    settings = bpy.context.scene.image_to_mesh
    settings.image, settings.faces, settings.texture_size = disc(), 8000, 1024
    autosave_to(folder)
    yield from open_tab()
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=viewport()):
        assert bpy.ops.image_to_mesh.generate("INVOKE_DEFAULT") == {"FINISHED"}
    task = reconstruction()
    yield from until(lambda: task.fraction > 0)
    yield from paused(task, lambda: has_autosaved(folder))
    # To save takes longer than what is measured.
    bpy.context.preferences.filepaths.use_auto_save_temporary_files = False
    yield 2.0
    watch = Watch()
    yield from until(lambda: task.finished)
    yield 1.0
    watch.stop()
    assert task.added, task.error
    print(f"{watch.draws} viewport draws, {len(watch.gaps)} ticks, longest {max(watch.gaps)[0]:.3f} s")
    print(f"import {watch.import_gap:.3f} s")
    assert watch.draws == 0, f"{watch.draws} viewport draws during the job"
    assert len(watch.gaps) > 100 and max(watch.gaps)[0] < LONGEST_GAP, sorted(watch.gaps)[-5:]
    assert watch.import_gap < LONGEST_IMPORT, watch.import_gap
    yield from check_large_image()


run_story(story)
