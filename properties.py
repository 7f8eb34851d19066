"""The settings of a scene, generated from ``backend.options``: one Blender property for each option."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

import bpy

from .backend.options import Options

COMPUTER_OPTIONS = [option for option in fields(Options) if option.name in ("device", "low_memory")]
"""The options that depend on the computer: they are among the extension's preferences."""
SCENE_OPTIONS = [option for option in fields(Options) if option.name not in ("device", "low_memory", "close_handles")]
"""The options that are settings of a scene. Handles are closed by a button, once somebody has seen them."""


def option_property(option: Field) -> Any:
    """A Blender property with the option's kind, range, default and help."""
    about = option.metadata
    texts = {"name": about["label"], "description": about["help"]}
    if about["choices"]:
        items = [(choice, choice.upper() if len(choice) < 4 else choice.title(), "") for choice in about["choices"]]
        return bpy.props.EnumProperty(items=items, default=option.default, **texts)
    if about["kind"] is bool:
        return bpy.props.BoolProperty(default=option.default, **texts)
    if about["kind"] is str:
        return bpy.props.StringProperty(default=option.default, **texts)
    number_property = {int: bpy.props.IntProperty, float: bpy.props.FloatProperty}[about["kind"]]
    return number_property(default=option.default or 0, min=about["minimum"], max=about["maximum"], **texts)


def _toggle(option: Field):
    """For an option that may be left open: whether it is set."""
    about = option.metadata
    return bpy.props.BoolProperty(name=f"Set {about['label']}", description=about["help"], default=False)


def toggle_name(option: Field) -> str | None:
    """The name of the property that says whether an option is set; None for options that always are."""
    return f"set_{option.name}" if option.default is None else None


def option_values(scene: bpy.types.Scene) -> dict:
    """The scene's settings, and those of the computer, as plain values that the backend takes."""
    settings = scene.image_to_mesh
    toggles = {option.name: toggle_name(option) for option in SCENE_OPTIONS}
    values = {
        name: getattr(settings, name) for name, toggle in toggles.items() if toggle is None or getattr(settings, toggle)
    }
    return values | computer_options()


def computer_options() -> dict:
    """Where the networks run, and with how much memory, as the extension's preferences say."""
    preferences = bpy.context.preferences.addons[__package__].preferences
    return {option.name: getattr(preferences, option.name) for option in COMPUTER_OPTIONS}


_ANNOTATIONS = {
    "image": bpy.props.PointerProperty(
        type=bpy.types.Image,
        name="Image",
        description="The image to turn into an object; if empty, the one open in an Image Editor, "
        "or the image texture of the active object",
    ),
    "prompt": bpy.props.StringProperty(
        name="Prompt", description="What Text to Mesh generates: one object, as in “a blue teapot”"
    ),
    "camera": bpy.props.BoolProperty(
        name="Matching Camera",
        description="Add a camera with the viewpoint of the input image",
        default=False,
    ),
    **{option.name: option_property(option) for option in SCENE_OPTIONS},
    **{toggle_name(option): _toggle(option) for option in SCENE_OPTIONS if option.default is None},
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
