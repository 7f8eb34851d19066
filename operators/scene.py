"""Mesh and texture of a job folder -> an object with a material in the scene, at the 3D cursor."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from ..backend.errors import ErrorCode, UserError
from . import placement
from .job_folders import JOB, PROVENANCE
from .matching_camera import add_camera
from .material import load_confidence, load_texture, new_material, swap_texture
from .result_files import Result, read_result

_NAME_BYTES = 63
"""Longest name of a datablock in Blender 4 (Blender 5 allows 255)."""


def add_object(
    context,
    folder: Path,
    name: str,
    provenance: dict,
    camera: bool = False,
    beside: bpy.types.Object | None = None,
) -> bpy.types.Object:
    """Add the result in ``folder`` to the scene: its base at the 3D cursor, or beside what stands there; selected and
    active, unless that would end a mode. ``beside`` another object it is turned and as large as that one.

    ``provenance`` (texts and numbers) is stored on the object; ``camera`` adds one that sees the object as the image
    shows it. Raises UserError (``bad_result``) and leaves the scene as it was when the files cannot be used.
    """
    result = read_result(folder)
    name = name.encode()[:_NAME_BYTES].decode(errors="ignore") or "Image to Mesh"
    created: list[bpy.types.ID] = []
    try:
        mesh = _mesh(name, result, created)
        texture = load_texture(result.texture, name, created)
        confidence = load_confidence(folder, name, created)
        mesh.materials.append(new_material(name, texture, confidence, result.uvs, created))
        obj = bpy.data.objects.new(name, mesh)
        created.append(obj)
        if beside is not None:
            obj.matrix_world = beside.matrix_world
        else:
            obj.location = context.scene.cursor.location
        _describe(obj, provenance, result, folder)
        placement.link(context, obj)
        placement.stand_beside(context, obj)
        if camera:
            placement.link(context, add_camera(obj, result, created))
        if "prompt" in provenance:
            _load_generated_image(folder / "picture.png", name, created)
    except Exception:
        bpy.data.batch_remove(created)
        raise
    placement.select(context, obj)
    return obj


def replace_mesh(obj: bpy.types.Object, folder: Path, provenance: dict) -> None:
    """Give ``obj``, and those that share its mesh, the mesh and texture that ``folder`` holds now.

    Its transform, its materials and all names stay; the new texture replaces the earlier one in these materials. Raises
    as ``add_object``.
    """
    result = read_result(folder)
    created: list[bpy.types.ID] = []
    old = obj.data
    try:
        mesh = _mesh(old.name, result, created)
        image = load_texture(result.texture, obj.name, created)
        confidence = load_confidence(folder, obj.name, created)
        if not old.materials:
            mesh.materials.append(new_material(obj.name, image, confidence, result.uvs, created))
    except Exception:
        bpy.data.batch_remove(created)
        raise
    put_mesh(obj, mesh, image, confidence)
    _describe(obj, provenance, result, folder)


def put_mesh(
    obj: bpy.types.Object, mesh: bpy.types.Mesh, image: bpy.types.Image, confidence: bpy.types.Image | None
) -> None:
    """Let ``obj``, and those that share its mesh, have ``mesh``, and ``image`` and ``confidence`` in its materials."""
    old = obj.data
    sharing = {old, *(other for other in bpy.data.objects if other.data == old)}
    for material in old.materials:
        mesh.materials.append(_for_these(material, sharing))
    for slot in obj.material_slots:
        if slot.link == "OBJECT":
            slot.material = _for_these(slot.material, sharing)
    old.user_remap(mesh)
    materials = {slot.material for slot in obj.material_slots if slot.material is not None}
    swap_texture(materials, image)
    if confidence is not None:
        swap_texture(materials, confidence)
        if confidence.users == 0:  # the artist has taken the node away
            bpy.data.images.remove(confidence)
    name = old.name
    if old.users == 0:
        bpy.data.meshes.remove(old)
        mesh.name = name


def _describe(obj: bpy.types.Object, provenance: dict, result: Result, folder: Path) -> None:
    """Store on the object how it was made; the edits of its views begin anew."""
    obj[PROVENANCE] = {**provenance, **result.facts, JOB: folder.name}
    edits = obj.image_to_mesh_edits
    edits.changes.clear()
    edits.views.clear()
    edits.elevation = result.facts["elevation"]


def _for_these(material: bpy.types.Material | None, users: set[bpy.types.ID]) -> bpy.types.Material | None:
    """The material, or a copy where others use it too: their texture stays."""
    if material is None or bpy.data.user_map(subset=[material])[material] <= users:
        return material
    return material.copy()


def _mesh(name: str, result: Result, created: list) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(name)
    created.append(mesh)
    starts = np.arange(0, result.faces.size, 3, dtype=np.int32)
    fill_mesh(mesh, result.vertices, result.faces.ravel(), starts, result.uvs)
    return mesh


def fill_mesh(
    mesh: bpy.types.Mesh, vertices: np.ndarray, corners: np.ndarray, starts: np.ndarray, uvs: np.ndarray
) -> None:
    """Fill an empty mesh: ``vertices`` (V, 3), the vertices of all ``corners`` (C,), the first corner of each face in
    ``starts``, and the ``uvs`` of all corners."""
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.ravel())
    mesh.loops.add(len(corners))
    mesh.loops.foreach_set("vertex_index", corners)
    mesh.polygons.add(len(starts))
    mesh.polygons.foreach_set("loop_start", starts)
    mesh.uv_layers.new(name="UVMap").uv.foreach_set("vector", uvs.ravel())
    mesh.update(calc_edges=True)
    mesh.shade_smooth()


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
