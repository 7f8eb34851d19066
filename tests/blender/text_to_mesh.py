"""A prompt becomes an object, through the real backend process; the generated image is there to be viewed."""

from __future__ import annotations

from pathlib import Path

import bpy
from common import check_object, counts, install, module, refused, use_backend


def test(package: Path, folder: Path, python: Path, weights: Path, text_model: Path) -> None:
    install(package)
    use_backend(python, weights)
    settings = bpy.context.scene.image_to_mesh
    assert not bpy.ops.image_to_mesh.text_to_mesh.poll()
    assert "Install a text-to-image model" in refused(bpy.ops.image_to_mesh.text_to_mesh)
    settings.text_model = "sdxl"
    assert "Enter a prompt" in refused(bpy.ops.image_to_mesh.text_to_mesh)

    settings.prompt = "eine blaue Teekanne"
    before = counts()
    message = refused(bpy.ops.image_to_mesh.text_to_mesh)
    assert "“sdxl” is not on this computer" in message and counts() == before
    jobs = module("operators.paths").user_folder() / "jobs"
    assert not list(jobs.iterdir())

    settings.text_model = str(text_model)
    assert bpy.ops.image_to_mesh.text_to_mesh() == {"FINISHED"}
    obj = bpy.context.active_object
    check_object(obj)
    assert obj.name == "eine blaue Teekanne"
    about = obj["image_to_mesh"].to_dict()
    assert about["prompt"] == settings.prompt and "image" not in about
    image = bpy.data.images["Image of eine blaue Teekanne"]
    assert tuple(image.size) == (64, 64) and image.packed_file is not None
    assert tuple(image.pixels[:3]) > (0.9, 0.9, 0.9)

    settings.image = image  # and the same image once more, as any other
    assert bpy.ops.image_to_mesh.generate() == {"FINISHED"}
    check_object(bpy.context.active_object)
    assert bpy.ops.image_to_mesh.remesh() == {"FINISHED"}

    out = str(folder / "out.blend")
    bpy.ops.wm.save_as_mainfile(filepath=out)
    bpy.ops.wm.open_mainfile(filepath=out)
    assert "Image of eine blaue Teekanne" in bpy.data.images
