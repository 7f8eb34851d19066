"""Textureless: the same object in its mean color, to judge or sculpt its shape; and back."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from .job_folders import made_object
from .material import texture_nodes


def is_textureless(obj: bpy.types.Object) -> bool:
    """Whether no material of the object shows a texture of ours that it has."""
    return any(_materials(obj)) and not any(_links(material) for material in _materials(obj))


class IMAGE_TO_MESH_OT_textureless(bpy.types.Operator):
    bl_idname = "image_to_mesh.textureless"
    bl_label = "Textureless"
    bl_description = "Show the active object without its texture, in its mean color, or with it again"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        active = made_object(context)
        if active is None or not any(_materials(active)):
            cls.poll_message_set("Select an object made by Image to Mesh, with its material")
            return False
        return True

    def execute(self, context):
        obj = context.active_object
        remove = not is_textureless(obj)
        for material in _materials(obj):
            tree = material.node_tree
            if remove:
                for link in _links(material):
                    tree.links.remove(link)
                continue
            surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
            tree.links.new(_own_nodes(tree)[0].outputs["Color"], surface.inputs["Base Color"])
        return {"FINISHED"}


def _materials(obj: bpy.types.Object) -> Iterator[bpy.types.Material]:
    """The object's materials that have a texture of ours and a surface to show it on."""
    for slot in obj.material_slots:
        tree = slot.material.node_tree if slot.material is not None else None
        if _own_nodes(tree) and any(node.type == "BSDF_PRINCIPLED" for node in tree.nodes):
            yield slot.material


def _links(material: bpy.types.Material) -> list[bpy.types.NodeLink]:
    """The links from the texture to the base color."""
    nodes = _own_nodes(material.node_tree)
    links = material.node_tree.links
    return [link for link in links if link.from_node in nodes and link.to_socket.name == "Base Color"]


def _own_nodes(tree: bpy.types.NodeTree | None) -> list[bpy.types.Node]:
    """The nodes with a texture of ours that are not inside a group, where they could not be linked."""
    return [node for node in texture_nodes(tree) if node.id_data == tree]


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_textureless,))
