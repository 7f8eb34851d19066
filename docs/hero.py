"""Make the README's image: ``python docs/hero.py [OUT.png]`` in a Python that has the bpy package.

Every example image goes through ``examples/image_to_mesh.py``; Blender then renders a column for each: the image,
the object as the image shows it, and the object from behind.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import bpy

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ("mug", "teddy", "car", "chair")
STEP = 1.25
"""Meters between columns and between rows."""


def make_object(image: Path, folder: Path) -> bpy.types.Object:
    """The object that the extension makes of an image, linked into this scene."""
    blend = folder / f"{image.stem}.blend"
    subprocess.run([sys.executable, str(ROOT / "examples/image_to_mesh.py"), str(image), str(blend)], check=True)
    with bpy.data.libraries.load(str(blend)) as (source, target):
        target.objects = source.objects
    obj = next(obj for obj in target.objects if obj.type == "MESH")
    bpy.context.scene.collection.objects.link(obj)
    return obj


def arrange(obj: bpy.types.Object, column: int, row: int, angle: float) -> None:
    """Move an object to a cell of the grid, row 0 on top, and rotate it by ``angle`` degrees about Z."""
    obj.rotation_euler = (0, 0, math.radians(angle))
    bpy.context.view_layer.update()
    corners = [obj.matrix_world @ type(obj.location)(corner) for corner in obj.bound_box]
    center = [(min(c[axis] for c in corners) + max(c[axis] for c in corners)) / 2 for axis in range(3)]
    target = (column * STEP, 0.0, -row * STEP)
    obj.location = [obj.location[axis] + target[axis] - center[axis] for axis in range(3)]


def add_image_plane(path: Path, column: int, tilt: float) -> None:
    """The image itself, unlit, on a plane that faces the camera."""
    bpy.ops.mesh.primitive_plane_add(size=1.15, location=(column * STEP, 0, 0))
    plane = bpy.context.object
    plane.rotation_euler = (math.radians(90 - tilt), 0, 0)
    material = bpy.data.materials.new(path.stem)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    texture, light, clear, mix, out = (
        nodes.new(f"ShaderNode{kind}")
        for kind in ("TexImage", "Emission", "BsdfTransparent", "MixShader", "OutputMaterial")
    )
    texture.image = bpy.data.images.load(str(path))
    links.new(texture.outputs["Color"], light.inputs["Color"])
    links.new(texture.outputs["Alpha"], mix.inputs[0])
    links.new(clear.outputs[0], mix.inputs[1])
    links.new(light.outputs[0], mix.inputs[2])
    links.new(mix.outputs[0], out.inputs["Surface"])
    plane.data.materials.append(material)


def light_and_render(out: Path, tilt: float) -> None:
    """An orthographic camera a little above, a sun, a pale world; Cycles on the CPU."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.type = "ORTHO"
    camera.data.ortho_scale = STEP * len(IMAGES)
    middle = STEP * (len(IMAGES) - 1) / 2
    angle = math.radians(tilt)
    camera.location = (middle, -10 * math.cos(angle), -STEP + 10 * math.sin(angle))
    camera.rotation_euler = (math.radians(90 - tilt), 0, 0)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy = 1.6
    sun.data.angle = 0.3
    sun.rotation_euler = (math.radians(45), math.radians(-20), math.radians(-15))
    for obj in (camera, sun):
        scene.collection.objects.link(obj)
    scene.camera = camera
    scene.world = scene.world or bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    background = next(node for node in scene.world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.9, 0.9, 0.92, 1)
    background.inputs["Strength"].default_value = 0.75
    scene.view_settings.view_transform = "Standard"
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 64
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 1200, 900
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.filepath = str(out)
    bpy.ops.render.render(write_still=True)


def main(out: Path) -> None:
    tilt = 14.0
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    with tempfile.TemporaryDirectory() as folder:
        for column, name in enumerate(IMAGES):
            path = ROOT / "examples" / f"{name}.png"
            add_image_plane(path, column, tilt)
            front = make_object(path, Path(folder))
            back = front.copy()
            bpy.context.scene.collection.objects.link(back)
            arrange(front, column, 1, 0)
            arrange(back, column, 2, 150)
        light_and_render(out, tilt)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs/hero.png").resolve())
    sys.stdout.flush()
    os._exit(0)  # the bpy package may hang or crash when Python itself ends
