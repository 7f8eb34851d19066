"""A failed job raises its sentence, leaves scene and files as they were, and the next one can start."""

from __future__ import annotations

import os

import bpy
from common import arguments, counts, install, part, run


def test() -> None:
    package, folder = arguments()
    install(package)
    bpy.context.scene.image_to_mesh.image = bpy.data.images.new("picture", 8, 8)
    before = counts()

    os.environ["IMAGE_TO_MESH_HOME"] = str(folder / "empty")
    message = refused()
    assert "Install" in message, message
    assert counts() == before and not jobs_left()


def refused() -> str:
    """The sentence that generating ends with."""
    try:
        bpy.ops.image_to_mesh.generate()
    except RuntimeError as error:
        message = str(error).strip().removeprefix("Error: ")
        assert "Traceback" not in message and "\n" not in message, message
        return message
    raise AssertionError("it did not fail")


def jobs_left() -> list:
    folder = part("operators.files").user_folder() / "jobs"
    return list(folder.iterdir()) if folder.is_dir() else []


run(test)
