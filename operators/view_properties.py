"""What is stored of an artist's wishes about views: further images with the scene, edits with an object."""

from __future__ import annotations

import bpy

from ..backend.options import Options

_ELEVATION = Options.__dataclass_fields__["elevation"].metadata

SIDES = {"back": "Back", "left": "Left", "right": "Right", "top": "Top", "ANGLE": "Angle"}
"""What a further image may show; an ``ANGLE`` is given in degrees."""


class ImageToMeshView(bpy.types.PropertyGroup):
    """A further image of the object, and the side that it shows"""

    image: bpy.props.PointerProperty(type=bpy.types.Image, name="Image", description="Another image of the object")
    side: bpy.props.EnumProperty(
        name="Side",
        description="What it shows, if the first image is the front. Left is the side on the left in the front view",
        items=[(side, label, "") for side, label in SIDES.items()],
    )
    azimuth: bpy.props.FloatProperty(
        name="Azimuth",
        description="Degrees that the camera went around the object, to the right: 90 sees its right side",
        min=-180,
        max=180,
    )
    elevation: bpy.props.FloatProperty(
        name="Elevation", description="Degrees of the camera above the object's horizon", min=-90, max=90
    )


class ImageToMeshViewChange(bpy.types.PropertyGroup):
    """What is to become of the view with this name; those that are not named are kept"""

    action: bpy.props.EnumProperty(
        items=[("DROP", "Drop", ""), ("SEED", "Generate Anew", ""), ("IMAGE", "Image", "")], name="Change"
    )
    seed: bpy.props.IntProperty(name="Seed", description="Another seed generates another view", min=0)
    image: bpy.props.PointerProperty(
        type=bpy.types.Image, name="Image", description="An image that shows this side of the object"
    )


class ImageToMeshEdits(bpy.types.PropertyGroup):
    """What Rebuild makes different in an object of ours"""

    elevation: bpy.props.FloatProperty(
        name="Elevation",
        description="Degrees of the camera above the object's horizon in the input image",
        min=_ELEVATION["minimum"],
        max=_ELEVATION["maximum"],
    )
    changes: bpy.props.CollectionProperty(type=ImageToMeshViewChange)
    views: bpy.props.CollectionProperty(type=ImageToMeshView)


_CLASSES = (ImageToMeshView, ImageToMeshViewChange, ImageToMeshEdits)


def register() -> None:
    for group in _CLASSES:
        bpy.utils.register_class(group)
    bpy.types.Scene.image_to_mesh_views = bpy.props.CollectionProperty(type=ImageToMeshView)
    bpy.types.Object.image_to_mesh_edits = bpy.props.PointerProperty(type=ImageToMeshEdits)


def unregister() -> None:
    del bpy.types.Object.image_to_mesh_edits
    del bpy.types.Scene.image_to_mesh_views
    for group in reversed(_CLASSES):
        bpy.utils.unregister_class(group)
