"""What every script here needs. The scripts run inside Blender or the bpy package: see ``start.py``."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import bpy
import numpy as np

PACKAGE = "bl_ext.user_default.image_to_mesh"


def arguments() -> list[Path]:
    """What a story gets, which has no ``test``: the extension's zip, a folder, the backend's Python, its weights."""
    given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    return [Path(argument) for argument in given[1:]]


def install(package: Path) -> None:
    """Install the extension from its zip, as a person does, and enable it, unless a script before this one did."""
    if PACKAGE not in bpy.context.preferences.addons:
        bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default", enable_on_install=True)
    assert PACKAGE in bpy.context.preferences.addons, "the extension is not enabled"
    assert hasattr(bpy.types, "IMAGE_TO_MESH_OT_generate"), "the operator is not registered"


def reset() -> None:
    """A new file, the settings as they come, no task, no trace of a job. Idle backends stay: they start slowly."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    bpy.context.preferences.system.property_unset("use_online_access")
    if PACKAGE not in bpy.context.preferences.addons:
        return
    if task_manager().is_running():  # the script before failed
        task_manager().close()
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    for name in type(preferences).__annotations__:
        preferences.property_unset(name)
    shutil.rmtree(module("operators.paths").user_folder() / "jobs", ignore_errors=True)
    module("operators.paths").times_file().unlink(missing_ok=True)
    module("operators.job_list").invalidate()
    module("operators.backend_location").refresh()


def use_backend(python: Path, weights: Path) -> None:
    """Settings for a job that takes seconds."""
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    preferences.python, preferences.device, preferences.check_cutout = str(python), "cpu", "OFF"
    settings = bpy.context.scene.image_to_mesh
    settings.weights = str(weights)
    settings.faces, settings.texture_size = 500, 256
    settings.set_elevation, settings.elevation = True, 20


def disc() -> bpy.types.Image:
    """An image: a shaded disc on a transparent background, with a notch: a whole disc would be taken for an avatar."""
    rows, columns = np.mgrid[:128, :128] / 128
    inside = ((rows - 0.5) ** 2 + (columns - 0.5) ** 2 < 0.16) & ~((rows > 0.7) & (abs(columns - 0.5) < 0.1))
    image = bpy.data.images.new("disc", 128, 128, alpha=True)
    image.pixels.foreach_set(np.stack([rows, columns, 1 - rows, inside], -1).astype(np.float32).ravel())
    return image


def refused(action) -> str:
    """The one sentence that ``action`` fails with, as a script sees it."""
    try:
        action()
    except RuntimeError as error:
        message = str(error).strip().removeprefix("Error: ")
        assert "Traceback" not in message and "\n" not in message, message
        return message
    raise AssertionError("it did not fail")


def module(name: str):
    """A module of the installed extension."""
    return importlib.import_module(f"{PACKAGE}.{name}")


def task_manager():
    """The task manager of the installed extension."""
    return module("operators.tasks").task_manager()


def reconstruction():
    """The running or last reconstruction; None if there was none."""
    return task_manager().latest(module("operators.reconstruction").ReconstructionTask)


def counts() -> dict[str, int]:
    """How many datablocks of each kind there are."""
    kinds = ("objects", "meshes", "materials", "images", "cameras", "collections", "scenes", "textures", "node_groups")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def write_job_folder(folder: Path) -> dict:
    """A job folder as the backend writes it, with a known mesh: a box of 0.8 x 0.4 x 0.2 off the origin.

    Its front (-Y) side's texture is red, all else blue. Returns the report.
    """
    folder.mkdir(parents=True)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    sides = [(0, 4, 5, 1), (2, 3, 7, 6), (0, 1, 3, 2), (4, 6, 7, 5), (0, 2, 6, 4), (1, 5, 7, 3)]  # -Y first
    faces = np.array([face for a, b, c, d in sides for face in ((a, b, c), (a, c, d))], np.int32)
    uvs = np.full((12, 3, 2), 0.75, np.float32)
    uvs[:2] = [[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]], [[0.0, 0.0], [0.5, 0.5], [0.0, 0.5]]]
    np.savez(
        folder / "mesh.npz", vertices=corners * (0.8, 0.4, 0.2) + np.float32((-0.3, -0.1, -0.25)), faces=faces, uvs=uvs
    )
    texture = bpy.data.images.new("texture", 64, 64)
    pixels = np.tile(np.float32((0, 0, 1, 1)), (64, 64, 1))
    pixels[:32, :32] = (1, 0, 0, 1)
    texture.pixels.foreach_set(pixels.ravel())
    texture.filepath_raw, texture.file_format = str(folder / "texture.png"), "PNG"
    texture.save()
    texture.filepath_raw = str(folder / "confidence.png")
    texture.save()
    bpy.data.images.remove(texture)
    camera_to_world = [[1, 0, 0, 0], [0, 0, -1, -1.2], [0, 1, 0, 0], [0, 0, 0, 1]]
    report = {
        "mesh": {"vertices": 8, "faces": 12, "watertight": True, "manifold": True, "volume": 0.064},
        "elevation": {"degrees": 0.0, "confidence": 1.0, "source": "given"},
        "camera": {
            "camera_to_world": camera_to_world,
            "focal": 280 / 256,
            "canvas": [-100, 20, 400],
            "width": 640,
            "height": 480,
        },
    }
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return report


def check_object(obj) -> None:
    """What holds for every object that the extension adds to a scene."""
    mesh = obj.data
    assert len(mesh.polygons) and all(polygon.loop_total == 3 for polygon in mesh.polygons)
    assert all(polygon.use_smooth for polygon in mesh.polygons)
    uses = np.zeros(len(mesh.edges), int)
    np.add.at(uses, [loop.edge_index for loop in mesh.loops], 1)
    assert (uses == 2).all(), "an edge does not belong to exactly two faces"
    points = np.array([vertex.co for vertex in mesh.vertices])
    normals = np.array([polygon.normal for polygon in mesh.polygons])
    centers = np.array([polygon.center for polygon in mesh.polygons])
    areas = np.array([polygon.area for polygon in mesh.polygons])
    assert ((normals * centers).sum(1) * areas).sum() > 0, "the faces look inwards"
    assert abs(np.ptp(points, axis=0).max() - 1) < 1e-5, "the longest side is not 1 m"
    assert abs(points[:, 2].min()) < 1e-5, "the base is not at the origin"
    assert np.abs(points.min(0) + points.max(0))[:2].max() < 1e-5, "the origin is not in the middle"
    assert tuple(obj.rotation_euler) == (0, 0, 0) and tuple(obj.scale) == (1, 1, 1)

    assert len(mesh.uv_layers) == 1
    uvs = np.empty(len(mesh.loops) * 2, np.float32)
    mesh.uv_layers[0].uv.foreach_get("vector", uvs)
    assert uvs.min() >= 0 and uvs.max() <= 1

    assert len(mesh.materials) == 1
    nodes = mesh.materials[0].node_tree.nodes
    surface = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    (link,) = surface.inputs["Base Color"].links
    assert link.from_node.type == "TEX_IMAGE"
    assert any(
        link.from_node.type == "BSDF_PRINCIPLED"
        for node in nodes
        if node.type == "OUTPUT_MATERIAL"
        for link in node.inputs["Surface"].links
    )
    image = link.from_node.image
    assert image.packed_file is not None and image.packed_file.size > 0
    assert image.colorspace_settings.name == "sRGB"
    assert image.size[0] > 0
    (confidence,) = (node for node in nodes if node.label == "Confidence")
    assert not confidence.outputs["Color"].is_linked and confidence.image.packed_file is not None
    assert confidence.image.colorspace_settings.name == "Non-Color" and nodes.active == link.from_node
