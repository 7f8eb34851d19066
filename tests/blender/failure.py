"""A failed job raises its sentence, leaves scene and files as they were, and the next one works."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import bpy
from common import (
    PACKAGE,
    check_object,
    counts,
    disc,
    install,
    module,
    reconstruction,
    refused,
    use_backend,
)


def test(package: Path, folder: Path, python: Path, weights: Path) -> None:
    install(package)
    settings = bpy.context.scene.image_to_mesh
    settings.image = disc()
    before = counts()

    os.environ["IMAGE_TO_MESH_HOME"] = str(folder / "empty")
    assert "not installed" in failure(before)
    bpy.context.preferences.addons[PACKAGE].preferences.python = str(folder / "no python")
    assert "There is no Python" in failure(before)

    use_backend(python, weights)
    settings.weights = str(folder / "nothing")
    assert "weights" in failure(before)
    settings.weights = str(weights)

    (folder / "no picture.png").write_text("hello")
    settings.image = bpy.data.images.load(str(folder / "no picture.png"))
    before["images"] += 1
    assert "no picture.png" in failure(before)
    settings.image = bpy.data.images["disc"]

    threading.Thread(target=kill_backend, daemon=True).start()
    assert "backend" in (message := failure(before)) and "log" in message, message

    bpy.ops.image_to_mesh.generate()
    check_object(bpy.context.active_object)


def failure(before: dict) -> str:
    message = refused(bpy.ops.image_to_mesh.generate)
    assert counts() == before, message
    folder = module("operators.paths").user_folder() / "jobs"
    assert not folder.is_dir() or not list(folder.iterdir()), message
    return message


def kill_backend() -> None:
    """Kill the backend as soon as its job has begun."""
    last = reconstruction()
    while (task := reconstruction()) is last or task.fraction == 0:
        time.sleep(0.02)
    os.kill(task.backend.hello["pid"], signal.SIGTERM)
