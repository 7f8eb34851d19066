"""A job folder becomes an object: at the cursor, named, textured; saved and opened again."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from common import check_object, counts, install, module, write_job_folder


def test(package: Path, folder: Path) -> None:
    install(package)
    scene = module("operators.scene")
    report = write_job_folder(folder / "job")
    cursor = bpy.context.scene.cursor.location = (1, 2, 3)
    name = "Tasse mit Überlänge " + "ü" * 40
    before = counts()

    obj = scene.add_object(bpy.context, folder / "job", name, {"image": "Tasse"}, camera=False)
    check_object(obj)
    added = {"objects": 1, "meshes": 1, "materials": 1, "images": 2}
    assert counts() == {**before, **{kind: before[kind] + count for kind, count in added.items()}}
    assert name.startswith(obj.name) and 62 <= len(obj.name.encode()) <= 63, obj.name
    assert tuple(obj.location) == tuple(cursor)
    assert bpy.context.view_layer.objects.active == obj and bpy.context.selected_objects == [obj]
    assert np.allclose(obj.dimensions, (1, 0.5, 0.25))
    assert obj["image_to_mesh"]["image"] == "Tasse" and obj["image_to_mesh"]["faces"] == report["mesh"]["faces"]
    front = max(obj.data.polygons, key=lambda polygon: -polygon.normal.y)
    corner = obj.data.uv_layers[0].uv[front.loop_start].vector
    image = obj.data.materials[0].node_tree.nodes["Image Texture"].image
    at = (int(corner.y * 64) * 64 + int(corner.x * 64)) * 4
    assert tuple(image.pixels[at : at + 3]) == (1, 0, 0), "the side towards -Y does not show the image's color"

    second = scene.add_object(bpy.context, folder / "job", "Tasse", {}, camera=True)
    camera = bpy.data.objects["Tasse Camera"]
    assert bpy.context.selected_objects == [second] and camera.parent == second
    bpy.context.view_layer.update()
    check_camera(report, second, camera)

    (folder / "job" / "report.json").rename(folder / "job" / "moved.json")
    check_refusals(scene, folder)
    (folder / "job" / "moved.json").rename(folder / "job" / "report.json")

    old = second.data
    scene.replace_mesh(second, folder / "job", {"image": "Tasse"})
    assert second.data != old
    check_object(second)

    out = str(folder / "ünï côde.blend")
    names = obj.name, second.name
    bpy.ops.wm.save_as_mainfile(filepath=out)
    (folder / "job" / "texture.png").unlink()
    bpy.ops.wm.open_mainfile(filepath=out)
    for saved in names:
        check_object(bpy.data.objects[saved])


def check_camera(report, obj, camera) -> None:
    """A corner of the box is where the image's camera projected it, in pixels of the image, which is whole and in the
    middle of the frame in a render of any aspect ratio."""
    for size in ((640, 480), (1920, 1080), (500, 500), (1080, 1920)):
        check_frame(report, obj, camera, size)


def check_frame(report, obj, camera, size) -> None:
    image, render = report["camera"], bpy.context.scene.render
    render.resolution_x, render.resolution_y = size
    bpy.context.view_layer.update()
    scale = min(size[0] / image["width"], size[1] / image["height"])
    margins = (np.array(size) / scale - (image["width"], image["height"])) / 2
    for corner in ((-0.3, -0.1, -0.25), (0.5, 0.3, -0.05)):  # in the backend's world: opposite corners of the box
        left, top, side = image["canvas"]
        depth = corner[1] + 1.2
        column = left + side * (0.5 + image["focal"] * corner[0] / depth)
        row = top + side * (0.5 - image["focal"] * corner[2] / depth)
        point = (np.array(corner) - (0.1, 0.1, -0.25)) / 0.8 + np.array(obj.location)
        x, y, _ = world_to_camera_view(bpy.context.scene, camera, type(camera.location)(point))
        pixel = np.array((x * size[0], (1 - y) * size[1])) / scale - margins
        assert np.allclose(pixel, (column, row), atol=0.01), (size, pixel, column, row)


def check_refusals(scene, folder) -> None:
    """What cannot be read is refused in one sentence, and nothing of it stays."""
    errors = module("backend.errors")
    broken = folder / "broken"
    write_job_folder(broken)
    before = counts()
    (broken / "texture.png").write_bytes(b"no image")
    cut = folder / "cut"
    write_job_folder(cut)
    (cut / "mesh.npz").write_bytes((cut / "mesh.npz").read_bytes()[:300])
    attempts = [folder / "job", broken, cut, folder / "nowhere"]
    for job in attempts:
        try:
            scene.add_object(bpy.context, job, "Broken", {})
        except errors.UserError as error:
            assert error.code == "bad_result" and "\n" not in str(error)
        else:
            raise AssertionError(f"{job} was added")
        assert counts() == before
