"""Several image files become objects in turn, beside each other; a bad one does not hold up the others."""

from __future__ import annotations

import time
from pathlib import Path

import bpy
import numpy as np
from common import check_object, counts, disc, install, module, refused, task_manager, use_backend


def test(package: Path, folder: Path, python: Path, weights: Path) -> None:
    install(package)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    use_backend(python, weights)
    image = disc()
    image.file_format = "PNG"
    (folder / "all of it").mkdir()
    for name in ("Tasse", "all of it/Ünïcode 2"):
        image.filepath_raw = str(folder / f"{name}.png")
        image.save()
    bpy.data.images.remove(image)
    (folder / "bad.png").write_text("no image")
    (folder / "all of it" / "a note.txt").write_text("no image either")
    chosen = {"directory": str(folder), "files": [{"name": f"{name}.png"} for name in ("bad", "Tasse")]}

    generate_files = bpy.ops.image_to_mesh.generate_files
    message = refused(lambda: generate_files(**chosen))
    assert "bad.png" in message and "Tasse" not in message, message
    assert generate_files(directory=str(folder / "all of it")) == {"FINISHED"}
    first, second = sorted(bpy.data.objects, key=lambda obj: obj.location.x)
    assert (first.name, second.name) == ("Tasse", "Ünïcode 2") and second.location.x > 1 and not bpy.data.cameras
    check_object(first)
    assert "no image file" in refused(generate_files)
    handler = bpy.types.IMAGE_TO_MESH_FH_images
    assert ".png" in handler.bl_file_extensions and handler.bl_import_operator == "image_to_mesh.generate_files"

    check_quads(second)
    check_queue(folder)


def check_quads(obj) -> None:
    """Closed, of quads only, with the colors of the triangles where they are."""
    old, material = obj.data, obj.data.materials[0]
    before, names = counts(), (obj.name, old.name)
    bpy.context.view_layer.objects.active = obj
    color = color_at(obj, (0, -1, 0.5))
    assert bpy.ops.image_to_mesh.quads() == {"FINISHED"}
    mesh = obj.data
    assert len(mesh.polygons) > 100 and all(polygon.loop_total == 4 for polygon in mesh.polygons)
    assert len(mesh.edges) == 2 * len(mesh.polygons), "it is not closed"
    assert (obj.name, mesh.name) == names and list(mesh.materials) == [material] and counts() == before
    assert obj["image_to_mesh"]["faces"] == len(mesh.polygons)
    assert np.allclose(color_at(obj, (0, -1, 0.5)), color, atol=0.1), (color_at(obj, (0, -1, 0.5)), color)


def color_at(obj, point) -> np.ndarray:
    """The mean color of the texture on the face that is nearest to a point, RGB."""
    found, _, _, index = obj.closest_point_on_mesh(point)
    assert found
    corners = obj.data.polygons[index].loop_indices
    uvs = np.array([obj.data.uv_layers[0].uv[corner].vector for corner in corners])
    nodes = obj.data.materials[0].node_tree.nodes
    image = next(node.image for node in nodes if node.type == "TEX_IMAGE" and not node.label)
    width, height = image.size
    pixels = np.array(image.pixels[:]).reshape(height, width, 4)
    column, row = (uvs.mean(0) * (width - 1, height - 1)).round().astype(int)
    return pixels[row, column, :3]


def check_queue(folder) -> None:
    """Tasks wait for their turn, and can be taken out or all be cancelled."""
    drop, manager, bad_path = module("operators.drop"), task_manager(), folder / "bad.png"

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
    bad = drop.new_task(
        bpy.context, drop.JobRecord("bad", module("properties").option_values(bpy.context.scene)), lambda _: bad_path
    )
    manager.queue(bad)
    five = queue("five")
    while not bad.finished:
        manager.update()
        time.sleep(0.05)
    assert manager.failures == [bad] and bad.error.code == "bad_image" and manager.running(type(five)) is five
    bpy.ops.image_to_mesh.cancel()
    manager.wait(five)
    assert manager.failures == [bad] and bpy.ops.image_to_mesh.clear_failures() == {"FINISHED"}
    assert manager.failures == []
    assert three.error.code == "cancelled" and "four" not in bpy.data.objects and "one" in bpy.data.objects
