"""Quads of a triangle mesh by Blender's QuadriFlow, with new UVs and the texture baked anew.

Runs as a program in a Blender of its own, since QuadriFlow and baking would hold up the one with a window:
``quads_worker.py FOLDER`` goes from ``triangles.npz``, ``texture.png`` and ``confidence.png`` there to ``quads.npz``
and both images anew. Imports nothing of ours.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy
import numpy as np

_CAGE = 0.03
"""How far outside the new surface rays begin that look for the old one, in meters of an object 1 m long."""
_ISLAND_MARGIN = 0.004
"""Between UV islands, as a fraction of the texture."""


def main(folder: Path) -> None:
    with np.load(folder / "triangles.npz") as arrays:
        vertices, faces, uvs, count = arrays["vertices"], arrays["faces"], arrays["uvs"], int(arrays["count"])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    old = _object("old", vertices, faces)
    old.data.uv_layers.new().uv.foreach_set("vector", uvs.ravel())
    new = _object("new", vertices, faces)
    _select(new)
    if bpy.ops.object.quadriflow_remesh(target_faces=count, seed=0) != {"FINISHED"}:
        sys.exit("QuadriFlow did not finish")
    _unwrap()
    for name in ("texture.png", "confidence.png"):
        if (folder / name).is_file():
            _bake(old, new, folder / name, is_data=name == "confidence.png")
    _write(new.data, folder / "quads.npz")


def _object(name: str, vertices: np.ndarray, faces: np.ndarray) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    obj = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(obj)
    return obj


def _select(active: bpy.types.Object, *others: bpy.types.Object) -> None:
    for obj in bpy.context.view_layer.objects:
        obj.select_set(obj in (active, *others))
    bpy.context.view_layer.objects.active = active


def _material(obj: bpy.types.Object, image: bpy.types.Image) -> bpy.types.NodeTree:
    """The nodes of the object's only material, of which one has the image."""
    material = bpy.data.materials.new(obj.name)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.nodes.active = node
    obj.data.materials.clear()
    obj.data.materials.append(material)
    return tree


def _unwrap() -> None:
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.uv.smart_project(angle_limit=1.15, island_margin=_ISLAND_MARGIN)
    bpy.ops.object.mode_set(mode="OBJECT")


def _bake(old: bpy.types.Object, new: bpy.types.Object, path: Path, is_data: bool) -> None:
    """Replace the image file by one for the new UVs. The old surface glows in its colors: they are read as they are."""
    source = bpy.data.images.load(str(path))
    source.colorspace_settings.name = "Non-Color" if is_data else "sRGB"
    width, height = source.size
    tree = _material(old, source)
    light = tree.nodes.new("ShaderNodeEmission")
    tree.links.new(tree.nodes.active.outputs["Color"], light.inputs["Color"])
    tree.links.new(light.outputs["Emission"], tree.nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    image = bpy.data.images.new(path.stem, width, height, is_data=is_data)
    _material(new, image)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 1, False
    _select(new, old)
    bpy.ops.object.bake(type="EMIT", use_selected_to_active=True, cage_extrusion=_CAGE, margin=width // 64)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()


def _write(mesh: bpy.types.Mesh, result: Path) -> None:
    vertices = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", vertices.ravel())
    corners, starts = np.empty(len(mesh.loops), np.int32), np.empty(len(mesh.polygons), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    mesh.polygons.foreach_get("loop_start", starts)
    uvs = np.empty((len(mesh.loops), 2), np.float32)
    mesh.uv_layers.active.uv.foreach_get("vector", uvs.ravel())
    np.savez(result, vertices=vertices, corners=corners, starts=starts, uvs=uvs)


if __name__ == "__main__":
    given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    main(Path(given[0]))
    sys.stdout.flush()
    os._exit(0)  # the bpy package may hang or crash when Python itself ends
