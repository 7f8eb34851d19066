"""An image becomes an object, through the real backend process: generate, remesh, cancel, another file meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
from common import (
    PACKAGE,
    arguments,
    check_object,
    counts,
    disc,
    install,
    module,
    refused,
    run,
    task_manager,
    use_backend,
)


def test() -> None:
    package, folder, python, weights = arguments()
    install(package)
    use_backend(python, weights)
    settings = bpy.context.scene.image_to_mesh
    settings.image, settings.camera = disc(), True
    bpy.context.scene.cursor.location = (1, -2, 0.5)
    before = counts()

    assert bpy.ops.image_to_mesh.generate() == {"FINISHED"}
    obj = bpy.context.active_object
    check_object(obj)
    assert obj.name == "disc" and tuple(obj.location) == (1, -2, 0.5)
    assert abs(len(obj.data.polygons) - 500) <= 10
    assert counts()["objects"] == before["objects"] + 2 and bpy.data.objects["disc Camera"].parent == obj
    about = obj["image_to_mesh"].to_dict()
    assert about["image"] == "disc" and about["options"]["faces"] == 500 and about["watertight"] is True
    assert (module("operators.job_folders").job_folder(obj) / "mesh.glb").is_file()
    assert str(Path.home()) not in str(about) and str(folder) not in str(about)

    camera = bpy.data.objects["disc Camera"]
    assert bpy.context.scene.camera != camera and bpy.ops.image_to_mesh.use_camera() == {"FINISHED"}
    assert bpy.context.scene.camera == camera and camera.data.show_background_images
    (background,) = camera.data.background_images
    assert tuple(background.image.size) == (128, 128) and str(folder) not in background.image.filepath
    bpy.data.objects.remove(camera)
    assert bpy.ops.image_to_mesh.use_camera() == {"FINISHED"} and bpy.context.scene.camera.parent == obj

    old = obj.data
    settings.faces = 1000
    assert bpy.ops.image_to_mesh.remesh(close_handles=True) == {"FINISHED"}
    check_object(obj)
    assert obj.data != old and abs(len(obj.data.polygons) - 1000) <= 20 and tuple(obj.location) == (1, -2, 0.5)
    assert obj["image_to_mesh"]["options"]["faces"] == 1000
    assert obj["image_to_mesh"]["options"]["close_handles"] is True

    assert bpy.ops.image_to_mesh.mark_asset() == {"FINISHED"} and not bpy.ops.image_to_mesh.mark_asset.poll()
    assert "“disc”" in obj.asset_data.description and "seed: 0" in obj.asset_data.description
    assert tuple(obj.preview.image_size) == (128, 128) and str(folder) not in obj.asset_data.description
    check_task(module("operators.generate").IMAGE_TO_MESH_OT_generate)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "out.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(folder / "out.blend"))
    check_object(bpy.data.objects["disc"])
    check_command(folder, weights)


def check_command(folder: Path, weights: Path) -> None:
    """What ``blender --command image_to_mesh`` runs, and the function for scripts."""
    run_command, generate = module("operators.command").run, sys.modules[PACKAGE].generate
    image = disc()
    image.filepath_raw, image.file_format = str(folder / "Tasse.png"), "PNG"
    image.save()
    arguments = [str(folder / "Tasse.png"), "--weights", str(weights), "--faces", "500", "--texture-size", "256"]
    out = folder / "Tasse.glb"
    assert run_command([*arguments, "--out", str(out), "--elevation", "20"]) == 0
    assert out.read_bytes()[:4] == b"glTF" and bpy.data.objects["Tasse"].type == "MESH"
    for wrong in (["--out", str(out)], ["--out", str(folder / "out.obj")], ["--out", str(folder / "no" / "a.glb")], []):
        assert run_command([*arguments, *wrong]) != 0, wrong
    before = counts()
    assert "does not exist" in refused(lambda: generate(folder / "nothing.png"))
    assert "no option “smell”" in refused(lambda: generate(image, smell="sweet"))
    assert "Faces must be" in refused(lambda: generate(image, faces=3))
    assert counts() == before


def check_task(generate) -> None:
    """A task outlives its operator and the file it was started in; a cancelled one ends soon and leaves nothing."""
    manager, operators = task_manager(), bpy.ops.image_to_mesh
    before = counts()
    task = generate.new_task(bpy.context)
    manager.start(task)
    manager.wait(task, lambda task: task.finished or operators.cancel(task=task.id))
    assert task.error is not None and task.error.code == "cancelled", "it was not cancelled"
    assert counts() == before and not task.folder.exists() and not operators.add_result.poll()
    assert not operators.cancel.poll()

    task = generate.new_task(bpy.context)
    manager.start(task)
    assert not operators.generate.poll() and not operators.add_result.poll()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    before = counts()
    manager.wait(task)
    assert counts() == before, "a result was put into another file"
    assert operators.add_result() == {"FINISHED"}
    check_object(bpy.context.active_object)
    assert not operators.add_result.poll()


run(test)
