"""An image becomes an object, through the real backend process: generate, remesh, cancel, another file meanwhile."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import bpy
import numpy as np
from common import (
    PACKAGE,
    check_object,
    counts,
    disc,
    install,
    module,
    refused,
    task_manager,
    use_backend,
)


def test(package: Path, folder: Path, python: Path, weights: Path) -> None:
    install(package)
    use_backend(python, weights)
    bpy.context.preferences.addons[PACKAGE].preferences.low_memory = True
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
    assert about["options"]["low_memory"] is True
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
    check_cutout(module("operators.generate").IMAGE_TO_MESH_OT_generate)
    settings.image = disc()
    check_views()
    check_task(module("operators.generate").IMAGE_TO_MESH_OT_generate)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "out.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(folder / "out.blend"))
    check_object(bpy.context.active_object)
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
    assert bpy.data.objects["Tasse"]["image_to_mesh"]["options"]["low_memory"] is True, "as in the preferences"
    for wrong in (["--out", str(out)], ["--out", str(folder / "out.obj")], ["--out", str(folder / "no" / "a.glb")], []):
        assert run_command([*arguments, *wrong]) != 0, wrong
    before = counts()
    assert "does not exist" in refused(lambda: generate(folder / "nothing.png"))
    assert "no option “smell”" in refused(lambda: generate(image, smell="sweet"))
    assert "Faces must be" in refused(lambda: generate(image, faces=3))
    assert counts() == before


def check_cutout(generate) -> None:
    """The cutout can be made in another way and painted on before the job goes on, and leaves no datablock."""
    manager, operators = task_manager(), bpy.ops.image_to_mesh
    settings, image = bpy.context.scene.image_to_mesh, disc()
    pixels = np.empty((128, 128, 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    pixels[:64, 64:, 3] = 0  # a whole disc might be the outline of a picture
    image.pixels.foreach_set(pixels.ravel())
    settings.image = image
    task, pressed = generate.new_task(bpy.context, "WAIT"), time.monotonic()
    manager.start(task)
    update_until(lambda: task.check.is_shown)
    shown = time.monotonic()
    assert task.check.method == "alpha" and task.check.preview.is_file() and not operators.generate.poll()
    operators.cut_out_by(method="grabcut")
    update_until(lambda: task.check.is_shown)
    assert task.check.found and task.check.method == "grabcut"

    operators.paint_mask()
    painting = module("operators.mask_painting").find(task.check)
    assert tuple(painting.size) == (128, 128) and module("operators.image_input").active_image(bpy.context) != painting
    painting.pixels.foreach_get(pixels.ravel())
    pixels[:, 64:, 3] = 0  # as Erase Alpha does it
    painting.pixels.foreach_set(pixels.ravel())
    time.sleep(1)  # somebody thinks
    began = time.monotonic()
    assert operators.cutout_go_on() == {"FINISHED"} and not operators.cutout_go_on.poll()
    manager.wait(task)
    assert task.added, task.error
    assert task.seconds < time.monotonic() - began + (shown - pressed), "time to think is no time that it took"
    report = json.loads((task.folder / "report.json").read_text(encoding="utf-8"))
    assert report["foreground"] == "mask" and abs(report["cutout"]["share"] - np.pi * 0.16 / 2) < 0.03
    assert bpy.context.active_object["image_to_mesh"]["options"]["cutout"] == "grabcut" and settings.cutout == "auto"
    after = counts()
    assert not [image for image in bpy.data.images if image.name.startswith("Cutout of")], "the painting stays"

    task = generate.new_task(bpy.context, "WAIT")
    manager.start(task)
    update_until(lambda: task.check.is_shown)
    operators.paint_mask()
    operators.cancel(task=task.id)
    manager.wait(task)
    assert task.error.code == "cancelled" and counts() == after and not task.folder.exists()
    check_draft(generate)


def check_draft(generate) -> None:
    """What is shown first of a photograph cannot be painted on, but already decided about."""
    manager, operators = task_manager(), bpy.ops.image_to_mesh
    rows, columns = np.mgrid[-1:1:96j, -1:1:128j]
    disc = (rows**2 + columns**2 < 0.1)[..., None]
    pixels = np.concatenate([np.where(disc, [0.8, 0.2, 0.1], 0.5 + 0.2 * rows[..., None]), np.ones_like(disc)], -1)
    image = bpy.context.scene.image_to_mesh.image = bpy.data.images.new("photograph", 128, 96)
    image.pixels.foreach_set(pixels.astype(np.float32).ravel())
    task = generate.new_task(bpy.context, "PAUSE")
    manager.start(task)
    update_until(lambda: task.check.is_shown)
    assert task.check.is_draft and task.check.preview.is_file() and task.check.seconds_left is None
    assert not operators.paint_mask.poll() and operators.cutout_go_on.poll()
    assert task.fraction == 0, "of the job nothing is done yet"
    operators.cut_out_by(method="grabcut")
    assert not task.check.is_shown
    update_until(lambda: task.check.is_shown)
    assert not task.check.is_draft and task.check.method == "grabcut" and operators.paint_mask.poll()
    operators.cut_out_by(method="model")
    update_until(lambda: task.check.is_shown and not task.check.is_draft)
    assert task.check.method == "u2netp" and task.check.preview.is_file()
    operators.cancel(task=task.id)
    manager.wait(task)
    assert task.error.code == "cancelled" and not task.folder.exists()


def check_views() -> None:
    """A further image from the start; then views are dropped, sampled anew and replaced, in one undo step."""
    operators, views = bpy.ops.image_to_mesh, bpy.context.scene.image_to_mesh_views
    job_folder, read_sheet = module("operators.job_folders").job_folder, module("operators.view_sheet").views_of
    operators.add_view()
    operators.add_view()
    assert [view.side for view in views] == ["back", "left"]
    for view in views:
        view.image, view.side = disc(), "back"
    assert "same side" in refused(operators.generate)
    operators.remove_view(index=1)
    operators.generate()
    obj = bpy.context.active_object
    first = job_folder(obj)
    assert [(view.name, view.label, view.is_generated) for view in read_sheet(first)[:3]] == [
        ("input", "Input", False), ("back", "Back", False), ("0", "0°, 20°", True),
    ]  # fmt: skip
    assert "Change a view" in refused(operators.rebuild)
    bpy.ops.ed.undo_push(message="Before")

    operators.change_view(view="5", action="DROP")
    operators.change_view(view="2", action="SEED")
    operators.change_view(view="6", action="DROP")
    operators.change_view(view="6", action="DROP")  # again: it is kept
    operators.change_view(view="1", action="IMAGE")
    edits = obj.image_to_mesh_edits
    assert [(change.name, change.action) for change in edits.changes] == [("5", "DROP"), ("2", "SEED"), ("1", "IMAGE")]
    jobs = len(list(first.parent.iterdir()))
    assert "choose it" in refused(operators.rebuild) and len(list(first.parent.iterdir())) == jobs
    edits.changes["1"].image = disc()
    edits.elevation = 30
    mesh, material = obj.data, obj.data.materials[0]
    before = counts()
    assert operators.rebuild() == {"FINISHED"}
    check_object(obj)
    second = job_folder(obj)
    assert second != first and first.is_dir() and obj.data != mesh and obj.data.materials[0] == material
    names = [view.name for view in read_sheet(second)]
    assert names[:3] == ["input", "back", "right"] and not {"1", "5"} & set(names)
    about = obj["image_to_mesh"].to_dict()
    assert about["elevation"] == 30 and about["elevation_source"] == "given" and about["view_seeds"] == {"2": 1}
    assert not edits.changes and edits.elevation == 30 and counts() == before
    record = module("operators.job_record").read_record(second)
    assert set(record.views) == {"back", "right"} and record.options["elevation"] == 30

    bpy.ops.ed.undo_push(message="Rebuild")
    bpy.ops.ed.undo()
    obj = bpy.context.view_layer.objects.active
    assert job_folder(obj) == first and obj["image_to_mesh"]["elevation"] == 20
    bpy.ops.ed.redo()
    obj = bpy.context.view_layer.objects.active
    assert job_folder(obj) == second
    operators.change_view(view="2", action="SEED")
    assert obj.image_to_mesh_edits.changes["2"].seed == 2
    operators.discard_edits()
    assert not obj.image_to_mesh_edits.changes and "Change a view" in refused(operators.rebuild)
    operators.remesh()
    bpy.context.scene.image_to_mesh_views.clear()


def update_until(condition) -> None:
    """Do what the manager's timer does in a window, until ``condition``."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        task_manager().update()
        time.sleep(0.05)


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
