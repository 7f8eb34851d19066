"""The second half of ``story``, in a Blender that was started anew: the list of results, a killed job, another try."""

from __future__ import annotations

import os
import signal

import bpy
from common import arguments, module, reconstruction
from mouse import ICONS, press_button
from person import is_running, open_tab, press, run_story, until
from screenshots import look, open_panels


def story():
    folder = arguments()[1]
    assert bpy.data.filepath == str(folder / "work.blend")
    yield from open_tab()
    bpy.context.view_layer.objects.active = None
    open_panels("_results")
    jobs = module("operators.saved_results").idle_jobs()
    assert [job.record.name for job in jobs] == ["teddy", "teddy", "teddy", "chair", "mug"], jobs
    assert all(job.faces and job.thumbnail.is_file() for job in jobs)
    yield 1.0
    yield from look(folder, "15-results-after-a-restart+")
    before = len(bpy.data.objects)
    yield from press_button("add_saved_result(", ICONS)
    assert len(bpy.data.objects) == before + 1, "the saved result is not in the scene"

    settings = bpy.context.scene.image_to_mesh
    settings.image = bpy.data.images.load(str(folder / "mug.png"), check_existing=True)
    assert settings.image.name == "mug.png", "the texture was taken for the picture"
    module("operators.paths").preferences().check_cutout = "OFF"
    yield from press_button("generate(")
    yield from until(lambda: reconstruction().text == "Generating views")
    os.kill(reconstruction().backend.hello["pid"], signal.SIGKILL)
    yield from until(lambda: not is_running())
    assert reconstruction().error is not None and not reconstruction().added
    yield 1.0
    yield from press("ESC")  # the message, which the panel shows too
    yield from look(folder, "16-killed")
    yield from press_button("generate(", last=True)  # Retry, below the error
    yield from until(lambda: not is_running())
    assert reconstruction().added, reconstruction().error
    yield from look(folder, "17-retried")


run_story(story)
