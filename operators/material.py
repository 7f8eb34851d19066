"""The material of a result: its texture as base color; and another texture in a material that an artist has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import bpy
import numpy as np

from ..backend.config import ROUGHNESS
from ..backend.errors import ErrorCode, UserError
from .job_folders import PROVENANCE

_SHADERS = (bpy.types.Material, bpy.types.NodeTree, bpy.types.World, bpy.types.Light)
"""What may show an image in a render."""


TEXTURE, CONFIDENCE = "texture", "confidence"
"""Images of ours, as their custom property calls them."""


def load_texture(path: Path, name: str, created: list, kind: str = TEXTURE) -> bpy.types.Image:
    """The image file ``path``, packed into the .blend and marked as ours. Raises UserError (``bad_result``)."""
    damaged = UserError(ErrorCode.BAD_RESULT, f"The texture “{path}” cannot be read: generate it again.")
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise damaged from error
    created.append(image)
    if 0 in image.size:
        raise damaged
    image.name = name
    color_space = "sRGB" if kind == TEXTURE else "Non-Color"
    if image.colorspace_settings.name != color_space:  # to set it makes Blender decode the file again
        image.colorspace_settings.name = color_space
    image.pack()
    image.filepath_raw = _unpacked_path(image.name, kind)
    image[PROVENANCE] = kind
    return image


def load_confidence(folder: Path, name: str, created: list) -> bpy.types.Image | None:
    """How much of the texture comes from the image itself, from black to white; early results have no such file."""
    path = folder / "confidence.png"
    return load_texture(path, f"{name} Confidence", created, CONFIDENCE) if path.is_file() else None


def new_material(
    name: str, image: bpy.types.Image, confidence: bpy.types.Image | None, uvs: np.ndarray, created: list
) -> bpy.types.Material:
    """A material with ``image`` as base color, and ``confidence`` in a node beside it that nothing uses.

    Solid mode, and the surface while it is without its texture, show the mean color, at ``uvs`` (F, 3, 2).
    """
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
    if confidence is not None:
        unused = tree.nodes.new("ShaderNodeTexImage")
        unused.image, unused.label = confidence, "Confidence"
        unused.location = (node.location.x, node.location.y - 300)
        tree.nodes.active = node  # texture painting and the display of textures take the active one
    surface.inputs["Roughness"].default_value = material.roughness = ROUGHNESS
    color = (*_mean_color(image, uvs), 1.0)
    material.diffuse_color = surface.inputs["Base Color"].default_value = color
    return material


def swap_texture(materials: Iterable[bpy.types.Material], image: bpy.types.Image) -> None:
    """Put ``image`` wherever these materials show an image of ours of its kind, which it replaces, name included.

    A texture that other materials show too stays for them.
    """
    kind = image[PROVENANCE]
    nodes = [node for material in materials for node in texture_nodes(material.node_tree, kind)]
    replaced = {node.image for node in nodes}
    for node in nodes:
        node.image = image
    for old in replaced:
        if any(isinstance(user, _SHADERS) for user in bpy.data.user_map(subset=[old])[old]):
            continue
        name = old.name
        old.user_remap(image)  # in editors and settings
        if old.users == 0:
            bpy.data.images.remove(old)
            image.name = name
            image.filepath_raw = _unpacked_path(name, kind)


def _unpacked_path(name: str, kind: str) -> str:
    """Where Unpack would write an image of ours: the job's folder stays private. Never the path of the picture that the
    object was made of, beside which the .blend may lie: Blender would take the one for the other, or overwrite it."""
    return f"//{name} texture.png" if kind == TEXTURE else f"//{name}.png"


def texture_nodes(tree: bpy.types.NodeTree | None, kind: str = TEXTURE) -> Iterator[bpy.types.Node]:
    """The nodes, those in groups included, that show an image of ours of this kind."""
    for node in tree.nodes if tree is not None else ():
        if node.type == "GROUP":
            yield from texture_nodes(node.node_tree, kind)
        elif node.type == "TEX_IMAGE" and node.image is not None and node.image.get(PROVENANCE) == kind:
            yield node


def _mean_color(image: bpy.types.Image, uvs: np.ndarray) -> tuple[float, float, float]:
    """The scene-linear mean of an sRGB image's colors at the centers of triangles, ``uvs`` (F, 3, 2)."""
    (width, height), channels = image.size, image.channels
    pixels = np.empty(width * height * channels, np.float32)
    image.pixels.foreach_get(pixels)
    column, row = (uvs.mean(1).clip(0, 1) * (width - 1, height - 1)).round().astype(int).T
    color = pixels.reshape(height, width, channels)[row, column, :3]
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    red, green, blue = linear.mean(0).tolist()
    return red, green, blue
