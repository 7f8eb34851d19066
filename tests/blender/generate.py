"""A picture becomes an object, through the real backend process: generate, rework, cancel, another file in between."""

from __future__ import annotations

from pathlib import Path

import bpy
from common import arguments, check_object, counts, disc, install, part, run, use_backend


def test() -> None:
    package, folder, python, weights = arguments()
    install(package)
    use_backend(python, weights)
    settings = bpy.context.scene.image_to_mesh
    settings.image, settings.camera = disc(), True
    bpy.context.scene.cursor.location = (1, -2, 0.5)
    before = counts()

    assert bpy.ops.image_to_mesh.generate() == {"FINISHED"}
    thing = bpy.context.active_object
    check_object(thing)
    assert thing.name == "disc" and tuple(thing.location) == (1, -2, 0.5)
    assert abs(len(thing.data.polygons) - 500) <= 10
    assert counts()["objects"] == before["objects"] + 2 and bpy.data.objects["disc Camera"].parent == thing
    about = thing["image_to_mesh"].to_dict()
    assert about["picture"] == "disc" and about["options"]["faces"] == 500 and about["watertight"] is True
    assert (Path(about["folder"]) / "mesh.glb").is_file()

    old = thing.data
    settings.faces = 1000
    assert bpy.ops.image_to_mesh.rework() == {"FINISHED"}
    check_object(thing)
    assert thing.data != old and abs(len(thing.data.polygons) - 1000) <= 20 and tuple(thing.location) == (1, -2, 0.5)
    assert thing["image_to_mesh"]["options"]["faces"] == 1000

    check_job(part("operators.job"), part("operators.generate").IMAGE_TO_MESH_OT_generate)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "out.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(folder / "out.blend"))
    check_object(bpy.data.objects["disc"])


def check_job(jobs, generate) -> None:
    """A job outlives its operator and the file it was started in; a cancelled one ends soon and leaves nothing."""
    before = counts()
    job = generate.start(bpy.context)
    try:
        jobs.wait(job, lambda _: jobs.cancel())
    except jobs.UserError as error:
        assert error.code == "cancelled"
    else:
        raise AssertionError("it was not cancelled")
    assert counts() == before and not job.folder.exists() and not bpy.ops.image_to_mesh.place.poll()

    job = generate.start(bpy.context)
    assert not bpy.ops.image_to_mesh.generate.poll() and not bpy.ops.image_to_mesh.place.poll()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    before = counts()
    jobs.wait(job, lambda _: None)
    assert counts() == before, "a result was put into another file"
    assert bpy.ops.image_to_mesh.place() == {"FINISHED"}
    check_object(bpy.context.active_object)
    assert not bpy.ops.image_to_mesh.place.poll()


run(test)
