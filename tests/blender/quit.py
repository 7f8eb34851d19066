"""Blender ends in the middle of a job; prints the backend's process number: the caller sees whether it ends too."""

from __future__ import annotations

import time

import bpy
from common import arguments, disc, install, part, run, use_backend


def test() -> None:
    package, _, python, weights = arguments()
    install(package)
    use_backend(python, weights)
    bpy.context.scene.image_to_mesh.image = disc()
    jobs = part("operators.job")
    job = part("operators.generate").IMAGE_TO_MESH_OT_generate.start(bpy.context)
    while job.fraction == 0:
        jobs.update()
        assert not job.finished, job.error
        time.sleep(0.05)
    print("BACKEND", jobs._backend.hello["pid"])


run(test)  # which ends this process at once, as a crash would
