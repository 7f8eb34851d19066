"""mesh + texture of a job folder -> an object in the scene, placed and named."""

from __future__ import annotations

import json
import math
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ..backend.protocol import UserError

LONGEST_SIDE = 1.0
"""Metres of the object's longest side."""
PROVENANCE = "image_to_mesh"
"""Custom property of a placed object: where it came from (a plain dictionary of texts and numbers)."""
_NAME_BYTES = 63
"""Longest name of a datablock in Blender 4 (Blender 5 allows 255)."""
_SENSOR = 36.0
"""Width of the matching camera's sensor in millimetres."""


def place(context, folder: Path, name: str, provenance: dict, camera: bool = False) -> bpy.types.Object:
    """Put the result in ``folder`` into the scene: at the 3D cursor, base on its height, selected and active.

    ``provenance`` (texts and numbers) is kept on the object; ``camera`` adds one that sees the object as the picture
    shows it. Raises UserError (``bad_result``) and leaves the scene as it was when the files cannot be used.
    """
    vertices, faces, uvs, report = _read(folder)
    corner, scale = _frame(vertices)
    name = name.encode()[:_NAME_BYTES].decode(errors="ignore") or "Image to Mesh"
    made: list[bpy.types.ID] = []
    try:
        mesh = _mesh(name, (vertices - corner) * scale, faces, uvs, made)
        mesh.materials.append(_material(name, folder / "texture.png", made))
        thing = bpy.data.objects.new(name, mesh)
        made.append(thing)
        thing.location = context.scene.cursor.location
        thing[PROVENANCE] = {**provenance, "folder": str(folder), **_measured(report)}
        _link(context, thing)
        if camera:
            _link(context, _camera(thing, report["camera"], corner, scale, made))
    except Exception:
        bpy.data.batch_remove(made)
        raise
    _select(context, thing)
    return thing


def replace(thing: bpy.types.Object, folder: Path, provenance: dict) -> None:
    """Give ``thing`` the mesh and texture that ``folder`` holds now; where it stands stays. Raises as ``place``."""
    vertices, faces, uvs, report = _read(folder)
    corner, scale = _frame(vertices)
    made: list[bpy.types.ID] = []
    try:
        mesh = _mesh(thing.name, (vertices - corner) * scale, faces, uvs, made)
        mesh.materials.append(_material(thing.name, folder / "texture.png", made))
    except Exception:
        bpy.data.batch_remove(made)
        raise
    thing.data = mesh
    thing[PROVENANCE] = {**provenance, "folder": str(folder), **_measured(report)}


def _read(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict]:
    """Vertices (V, 3), faces (F, 3), uvs (F, 3, 2) and the report of a job folder, checked."""
    try:
        with np.load(folder / "mesh.npz") as arrays:
            vertices, faces, uvs = (np.asarray(arrays[key]) for key in ("vertices", "faces", "uvs"))
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        usable = (
            (vertices.shape[1:], faces.shape[1:], uvs.shape) == ((3,), (3,), (len(faces), 3, 2))
            and len(faces) > 0
            and 0 <= faces.min() <= faces.max() < len(vertices)
            and np.isfinite(vertices).all()
            and np.isfinite(uvs).all()
            and np.ptp(vertices, axis=0).max() > 0
        )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(
            "bad_result", f"The result in “{folder}” cannot be read ({error}): generate it again."
        ) from error
    if not usable:
        raise UserError("bad_result", f"The mesh in “{folder}” is damaged: generate it again.")
    return vertices.astype(np.float32), faces.astype(np.int32), uvs.astype(np.float32), report


def _frame(vertices: np.ndarray) -> tuple[np.ndarray, float]:
    """What to subtract from world points, and what to multiply them with: origin in the middle of the base, metres."""
    low, high = vertices.min(0), vertices.max(0)
    middle = (low + high) / 2
    return np.array([middle[0], middle[1], low[2]], np.float32), LONGEST_SIDE / float((high - low).max())


def _mesh(name: str, vertices: np.ndarray, faces: np.ndarray, uvs: np.ndarray, made: list) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(name)
    made.append(mesh)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.uv_layers.new(name="UVMap").uv.foreach_set("vector", uvs.ravel())
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    return mesh


def _material(name: str, texture: Path, made: list) -> bpy.types.Material:
    """A material whose base colour is the picture file ``texture``, packed into the .blend."""
    damaged = UserError("bad_result", f"The texture “{texture}” cannot be read: generate it again.")
    try:
        image = bpy.data.images.load(str(texture))
    except RuntimeError as error:
        raise damaged from error
    made.append(image)
    if 0 in image.size:
        raise damaged
    image.name = name
    image.colorspace_settings.name = "sRGB"
    image.pack()
    image.filepath_raw = f"//{image.name}.png"  # where Unpack would put it; the job's folder stays private

    material = bpy.data.materials.new(name)
    made.append(material)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    node.location = (surface.location.x - 320, surface.location.y)
    tree.links.new(node.outputs["Color"], surface.inputs["Base Color"])
    return material


def _camera(thing, picture: dict, corner: np.ndarray, scale: float, made: list) -> bpy.types.Object:
    """A camera, child of ``thing``, that sees it where the picture shows it.

    ``picture`` (report.json): ``camera_to_world`` 4x4, ``focal`` in canvas sides, ``canvas`` (left, top, side) in
    pixels of the picture, and its ``width`` and ``height``.
    """
    data = bpy.data.cameras.new(f"{thing.name} Camera"[:_NAME_BYTES])
    made.append(data)
    camera = bpy.data.objects.new(data.name, data)
    made.append(camera)
    left, top, side = picture["canvas"]
    width, height = picture["width"], picture["height"]
    data.sensor_fit, data.sensor_width = "HORIZONTAL", _SENSOR
    data.lens = picture["focal"] * side / width * _SENSOR
    data.shift_x = 0.5 - (left + side / 2) / width
    data.shift_y = (top + side / 2 - height / 2) / width
    pose = Matrix(picture["camera_to_world"])
    pose.translation = [(here - there) * scale for here, there in zip(pose.translation, corner.tolist(), strict=True)]
    camera.parent = thing
    camera.matrix_basis = pose
    return camera


def _measured(report: dict) -> dict:
    """What the panel shows of a report: its finite numbers and texts on the mesh."""
    return {
        key: value
        for key, value in report.get("mesh", {}).items()
        if isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))
    }


def _link(context, thing: bpy.types.Object) -> None:
    """Into the active collection, or, when that one is excluded from the view layer, the scene's own."""
    context.collection.objects.link(thing)
    if thing.name not in context.view_layer.objects:
        context.collection.objects.unlink(thing)
        context.scene.collection.objects.link(thing)


def _select(context, thing: bpy.types.Object) -> None:
    active = context.view_layer.objects.active
    if active is not None and active.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    for each in context.selected_objects:
        each.select_set(False)
    thing.select_set(True)
    context.view_layer.objects.active = thing
