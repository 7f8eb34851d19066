"""Mesh and texture of a job folder -> an object with a material in the scene, at the 3D cursor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..backend.errors import ErrorCode, UserError
from .job_folders import JOB, PROVENANCE

LONGEST_SIDE = 1.0
"""Meters of the object's longest side."""
_NAME_BYTES = 63
"""Longest name of a datablock in Blender 4 (Blender 5 allows 255)."""
_SENSOR = 36.0
"""Width of the matching camera's sensor in millimeters."""


@dataclass(frozen=True)
class _Result:
    """What a job folder holds, as far as a scene needs it."""

    vertices: np.ndarray
    """(V, 3) float32, meters, the origin at the center of the base."""
    faces: np.ndarray
    """(F, 3) int32."""
    uvs: np.ndarray
    """(F, 3, 2) float32."""
    texture: Path
    facts: dict
    """The report's numbers and texts on mesh and elevation."""
    camera: dict
    """The image's camera, as ``_camera`` takes it."""
    origin: np.ndarray
    """(3,) the object's origin in the backend's world coordinates."""
    scale: float
    """Meters per unit of that world."""


def add_object(context, folder: Path, name: str, provenance: dict, camera: bool = False) -> bpy.types.Object:
    """Add the result in ``folder`` to the scene: its base at the 3D cursor, selected and active.

    ``provenance`` (texts and numbers) is stored on the object; ``camera`` adds one that sees the object as the image
    shows it. Raises UserError (``bad_result``) and leaves the scene as it was when the files cannot be used.
    """
    result = _read(folder)
    name = name.encode()[:_NAME_BYTES].decode(errors="ignore") or "Image to Mesh"
    created: list[bpy.types.ID] = []
    try:
        obj = bpy.data.objects.new(name, _mesh(name, result, created))
        created.append(obj)
        obj.location = context.scene.cursor.location
        obj[PROVENANCE] = {**provenance, **result.facts, JOB: folder.name}
        _link(context, obj)
        if camera:
            _link(context, _camera(obj, result, created))
        if "prompt" in provenance:
            _load_generated_image(folder / "picture.png", name, created)
    except Exception:
        bpy.data.batch_remove(created)
        raise
    _select(context, obj)
    return obj


def replace_mesh(obj: bpy.types.Object, folder: Path, provenance: dict) -> None:
    """Give ``obj`` the mesh and texture that ``folder`` holds now; its transform stays. Raises as ``add_object``."""
    result = _read(folder)
    created: list[bpy.types.ID] = []
    try:
        obj.data = _mesh(obj.name, result, created)
    except Exception:
        bpy.data.batch_remove(created)
        raise
    obj[PROVENANCE] = {**provenance, **result.facts, JOB: folder.name}


def _read(folder: Path) -> _Result:
    """The files of a job folder, checked. Raises UserError (``bad_result``)."""
    try:
        with np.load(folder / "mesh.npz") as arrays:
            vertices, faces, uvs = (np.asarray(arrays[key]) for key in ("vertices", "faces", "uvs"))
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        facts, camera = _facts(report), report["camera"]
        usable = (
            (vertices.shape[1:], faces.shape[1:], uvs.shape) == ((3,), (3,), (len(faces), 3, 2))
            and len(faces) > 0
            and 0 <= faces.min() <= faces.max() < len(vertices)
            and np.isfinite(vertices).all()
            and np.isfinite(uvs).all()
            and np.ptp(vertices, axis=0).max() > 0
        )
    except Exception as error:  # damage shows as whatever the first wrong byte happens to mean
        raise UserError(
            ErrorCode.BAD_RESULT,
            f"The result in “{folder}” cannot be read ({type(error).__name__}): generate it again.",
        ) from error
    if not usable:
        raise UserError(ErrorCode.BAD_RESULT, f"The mesh in “{folder}” is damaged: generate it again.")
    low, high = vertices.min(0), vertices.max(0)
    origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float32)
    scale = LONGEST_SIDE / float((high - low).max())
    return _Result(
        vertices=((vertices - origin) * scale).astype(np.float32),
        faces=faces.astype(np.int32),
        uvs=uvs.astype(np.float32),
        texture=folder / "texture.png",
        facts=facts,
        camera=camera,
        origin=origin,
        scale=scale,
    )


def _mesh(name: str, result: _Result, created: list) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(name)
    created.append(mesh)
    mesh.vertices.add(len(result.vertices))
    mesh.vertices.foreach_set("co", result.vertices.ravel())
    mesh.loops.add(result.faces.size)
    mesh.loops.foreach_set("vertex_index", result.faces.ravel())
    mesh.polygons.add(len(result.faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, result.faces.size, 3, dtype=np.int32))
    mesh.uv_layers.new(name="UVMap").uv.foreach_set("vector", result.uvs.ravel())
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    mesh.materials.append(_material(name, result.texture, created))
    return mesh


def _material(name: str, texture: Path, created: list) -> bpy.types.Material:
    """A material whose base color is the image file ``texture``, packed into the .blend."""
    damaged = UserError(ErrorCode.BAD_RESULT, f"The texture “{texture}” cannot be read: generate it again.")
    try:
        image = bpy.data.images.load(str(texture))
    except RuntimeError as error:
        raise damaged from error
    created.append(image)
    if 0 in image.size:
        raise damaged
    image.name = name
    image.colorspace_settings.name = "sRGB"
    image.pack()
    image.filepath_raw = f"//{image.name}.png"  # where Unpack would write it; the job's folder stays private

    material = bpy.data.materials.new(name)
    created.append(material)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    node.location = (surface.location.x - 320, surface.location.y)
    tree.links.new(node.outputs["Color"], surface.inputs["Base Color"])
    return material


def _load_generated_image(path: Path, name: str, created: list) -> None:
    """The image that was generated from the prompt, to be viewed and used again, packed into the .blend."""
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise UserError(ErrorCode.BAD_RESULT, f"The image “{path}” cannot be read: generate it again.") from error
    created.append(image)
    image.name = f"Image of {name}"
    image.pack()
    image.filepath_raw = f"//{image.name}.png"
    image.use_fake_user = True


def _camera(obj: bpy.types.Object, result: _Result, created: list) -> bpy.types.Object:
    """A camera, child of ``obj``, that sees it where the image shows it.

    ``result.camera``: ``camera_to_world`` 4x4, ``focal`` in canvas sides, ``canvas`` (left, top, side) in
    pixels of the image, and its ``width`` and ``height``.
    """
    data = bpy.data.cameras.new(f"{obj.name} Camera"[:_NAME_BYTES])
    created.append(data)
    camera = bpy.data.objects.new(data.name, data)
    created.append(camera)
    image = result.camera
    left, top, side = image["canvas"]
    width, height = image["width"], image["height"]
    data.sensor_fit, data.sensor_width = "HORIZONTAL", _SENSOR
    data.lens = image["focal"] * side / width * _SENSOR
    data.shift_x = 0.5 - (left + side / 2) / width
    data.shift_y = (top + side / 2 - height / 2) / width
    pose = Matrix(image["camera_to_world"])
    pose.translation = result.scale * (pose.translation - Vector(result.origin.tolist()))
    camera.parent = obj
    camera.matrix_basis = pose
    return camera


def _facts(report: dict) -> dict:
    """What the panel shows of a report: the camera's elevation and how it was estimated, the mesh's measurements."""
    elevation = report["elevation"]
    facts = {
        "elevation": elevation["degrees"],
        "elevation_source": elevation["source"],
        "elevation_confidence": elevation["confidence"],
        **report["mesh"],
    }
    return {key: value for key, value in facts.items() if isinstance(value, (bool, int, float, str))}


def _link(context, obj: bpy.types.Object) -> None:
    """Into the active collection, or, when that one is excluded from the view layer, the scene's own."""
    context.collection.objects.link(obj)
    if obj.name not in context.view_layer.objects:
        context.collection.objects.unlink(obj)
        context.scene.collection.objects.link(obj)


def _select(context, obj: bpy.types.Object) -> None:
    active = context.view_layer.objects.active
    if active is not None and active.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    for selected in context.selected_objects:
        selected.select_set(False)
    obj.select_set(True)
    context.view_layer.objects.active = obj
