"""Several image files become objects in turn, beside each other; a bad one does not hold up the others."""

from __future__ import annotations

import bpy
from common import arguments, check_object, disc, install, module, refused, run, task_manager, use_backend


def test() -> None:
    package, folder, python, weights = arguments()
    install(package)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    use_backend(python, weights)
    image = disc()
    image.file_format = "PNG"
    for name in ("Tasse", "Ünïcode 2"):
        image.filepath_raw = str(folder / f"{name}.png")
        image.save()
    bpy.data.images.remove(image)
    (folder / "bad.png").write_text("no image")
    chosen = {"directory": str(folder), "files": [{"name": f"{name}.png"} for name in ("Tasse", "bad", "Ünïcode 2")]}

    generate_files = bpy.ops.image_to_mesh.generate_files
    message = refused(lambda: generate_files(**chosen))
    assert "bad.png" in message and "Tasse" not in message, message
    first, second = sorted(bpy.data.objects, key=lambda obj: obj.location.x)
    assert (first.name, second.name) == ("Tasse", "Ünïcode 2") and second.location.x > 1 and not bpy.data.cameras
    check_object(first)
    assert "No image file" in refused(generate_files)
    handler = bpy.types.IMAGE_TO_MESH_FH_images
    assert ".png" in handler.bl_file_extensions and handler.bl_import_operator == "image_to_mesh.generate_files"

    check_queue(folder)


def check_queue(folder) -> None:
    """Tasks wait for their turn, and can be taken out or all be cancelled."""
    drop, manager = module("operators.drop"), task_manager()

    def queue(name: str):
        record = drop.JobRecord(name, module("properties").option_values(bpy.context.scene))
        task = drop.new_task(bpy.context, record, lambda _: folder / "Tasse.png")
        manager.queue(task)
        return task

    one, two, three = queue("one"), queue("two"), queue("three")
    assert manager.running(type(one)) is one and manager.waiting() == [two, three]
    listed = {job.folder for job in module("operators.saved_results").idle_jobs()}
    assert not listed & {one.folder, two.folder, three.folder}
    assert bpy.ops.image_to_mesh.cancel(task=two.id) == {"FINISHED"}
    assert manager.waiting() == [three] and not two.folder.exists()
    manager.wait(one)
    assert one.added and manager.running(type(one)) is three, one.error
    four = queue("four")
    bpy.ops.image_to_mesh.cancel()
    assert manager.waiting() == [] and not four.folder.exists()
    manager.wait(three)
    assert three.error.code == "cancelled" and "four" not in bpy.data.objects and "one" in bpy.data.objects


run(test)
