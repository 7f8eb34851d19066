"""Another Back, beside the first, and how long jobs take, learnt from those before."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import numpy as np
from common import check_object, counts, disc, install, module, reconstruction, refused, use_backend


def test(package: Path, folder: Path, python: Path, weights: Path) -> None:
    install(package)
    use_backend(python, weights)
    operators = bpy.ops.image_to_mesh
    assert not operators.another_back.poll(), "there is no object"
    assert "Select an object" in refused(operators.another_back)
    bpy.context.scene.image_to_mesh.image = picture = picture_beside_the_file(folder)
    bpy.context.scene.cursor.location = (1, 2, 3)
    operators.generate()
    times = json.loads(module("operators.paths").times_file().read_text(encoding="utf-8"))
    assert {"load", "views", "surface", "mesh", "texture", "export"} <= set(times[f"image, {weights.name}, cpu, auto"])
    first = bpy.context.active_object
    assert bpy.data.images.load(picture.filepath, check_existing=True) == picture, "the texture was taken for it"
    first.rotation_euler, first.scale = (0, 0, 0.5), (2, 2, 2)
    bpy.context.scene.image_to_mesh.faces = 600
    operators.remesh()
    assert reconstruction().expected_time.seconds_left() is None, "the first of its kind"
    bpy.context.scene.cursor.location = (50, 50, 50)

    bpy.context.view_layer.update()
    operators.another_back()
    second = bpy.context.active_object
    about = second["image_to_mesh"].to_dict()
    assert second != first and about["options"]["seed"] == 1 and about["options"]["faces"] == 600
    assert len(second.data.polygons) == 600, "as the first one is now, not as it was"
    assert np.allclose(second.scale, first.scale) and np.allclose(second.rotation_euler, first.rotation_euler)
    shift = np.array(second.location) - np.array(first.location)
    assert 1 < shift[0] < 5 and np.allclose(shift[1:], 0), shift
    assert reconstruction().expected_time.seconds_left() is not None

    bpy.context.view_layer.objects.active = first
    operators.another_back()
    third = bpy.context.active_object
    assert third["image_to_mesh"]["options"]["seed"] == 2, "the same second object once more"
    assert third.location.x - second.location.x > 1
    check_cleaned(third)

    before = counts()
    (module("operators.job_folders").job_folder(third) / "job.json").unlink()
    assert "not on this computer" in refused(operators.another_back)
    third["image_to_mesh"]["job"] = "nothing"
    assert not operators.another_back.poll() and "not on this computer" in refused(operators.another_back)
    assert counts() == before


def picture_beside_the_file(folder: Path) -> bpy.types.Image:
    """The disc as a file, in the folder of the open .blend."""
    image = disc()
    image.filepath_raw, image.file_format = str(folder / "disc.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "work.blend"))
    return bpy.data.images.load(str(folder / "disc.png"))


def check_cleaned(obj) -> None:
    """It is as every other new object, but for its place."""
    obj.rotation_euler, obj.scale = (0, 0, 0), (1, 1, 1)
    check_object(obj)
