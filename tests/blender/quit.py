"""Blender ends in the middle of a job; prints the backend's process number: the caller checks that it ends too."""

from __future__ import annotations

import time
from pathlib import Path

import bpy
from common import disc, install, module, task_manager, use_backend


def test(package: Path, _: Path, python: Path, weights: Path) -> None:
    install(package)
    use_backend(python, weights)
    bpy.context.scene.image_to_mesh.image = disc()
    task = module("operators.generate").IMAGE_TO_MESH_OT_generate.new_task(bpy.context)
    task_manager().start(task)
    while task.fraction == 0:
        task_manager().update()
        assert not task.finished, task.error
        time.sleep(0.05)
    print("BACKEND", task.backend.hello["pid"])
