"""The settings of a scene, made from ``backend.options``: one Blender property for each option."""

from __future__ import annotations

from dataclasses import Field, fields

import bpy

from .backend.options import Options


def _property(option: Field):
    """A Blender property with the option's kind, range, default and help."""
    about = option.metadata
    shown = {"name": about["label"], "description": about["help"]}
    if about["choices"]:
        items = [(word, word.upper() if len(word) < 4 else word.title(), "") for word in about["choices"]]
        return bpy.props.EnumProperty(items=items, default=option.default, **shown)
    if about["kind"] is bool:
        return bpy.props.BoolProperty(default=option.default, **shown)
    if about["kind"] is str:
        return bpy.props.StringProperty(default=option.default, **shown)
    make = {int: bpy.props.IntProperty, float: bpy.props.FloatProperty}[about["kind"]]
    return make(default=option.default or 0, min=about["minimum"], max=about["maximum"], **shown)


def _switch(option: Field):
    """For an option that may be left open: whether it is given."""
    about = option.metadata
    return bpy.props.BoolProperty(name=f"Set {about['label']}", description=about["help"], default=False)


def switch_of(option: Field) -> str | None:
    """The name of the property that says whether an option is given; None for options that always are."""
    return f"set_{option.name}" if option.default is None else None


def options_of(scene: bpy.types.Scene) -> dict:
    """The scene's settings as plain values that the backend takes."""
    settings = scene.image_to_mesh
    return {
        option.name: getattr(settings, option.name)
        for option in fields(Options)
        if option.default is not None or getattr(settings, switch_of(option))
    }


_ANNOTATIONS = {
    "image": bpy.props.PointerProperty(
        type=bpy.types.Image,
        name="Picture",
        description="The picture to turn into an object; left empty, the one open in an Image Editor, "
        "or the image texture of the active object",
    ),
    "text": bpy.props.StringProperty(
        name="Words", description="What Text to Mesh makes: one object, as in “a blue teapot”"
    ),
    "camera": bpy.props.BoolProperty(
        name="Matching Camera",
        description="Add a camera that sees the object where the picture shows it",
        default=False,
    ),
    **{option.name: _property(option) for option in fields(Options)},
    **{switch_of(option): _switch(option) for option in fields(Options) if option.default is None},
}

ImageToMeshSettings = type(
    "ImageToMeshSettings",
    (bpy.types.PropertyGroup,),
    {"__doc__": "Settings of Image to Mesh", "__module__": __name__, "__annotations__": _ANNOTATIONS},
)


def register() -> None:
    bpy.utils.register_class(ImageToMeshSettings)
    bpy.types.Scene.image_to_mesh = bpy.props.PointerProperty(type=ImageToMeshSettings)


def unregister() -> None:
    del bpy.types.Scene.image_to_mesh
    bpy.utils.unregister_class(ImageToMeshSettings)
