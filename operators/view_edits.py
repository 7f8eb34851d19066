"""What an artist wants changed in the views of a result, until Rebuild does it. It is stored on the object."""

from __future__ import annotations

import math
from pathlib import Path

import bpy

from ..backend.errors import ErrorCode, UserError
from .given_views import view_files
from .image_input import image_file
from .job_folders import SELECT_MADE, job_folder, made_object, provenance
from .view_sheet import views_of

SEEDS = "view_seeds"
"""Key of an object's provenance: seeds of single views, by name, that differ from the options'."""


def seed_of(obj: bpy.types.Object, view: str) -> int:
    """The seed that a view of the object was generated with."""
    about = provenance(obj)
    seeds, options = about.get(SEEDS), about.get("options")
    seed = seeds.get(view) if isinstance(seeds, dict) else None
    seed = options.get("seed", 0) if seed is None and isinstance(options, dict) else seed
    return seed if isinstance(seed, int) else 0


def has_edits(obj: bpy.types.Object) -> bool:
    """Whether Rebuild has something to do."""
    edits = obj.image_to_mesh_edits
    return bool(edits.changes or any(view.image for view in edits.views)) or new_elevation(obj) is not None


def new_elevation(obj: bpy.types.Object) -> float | None:
    """The elevation that is wanted, in degrees; None: the one that it has."""
    edits, earlier = obj.image_to_mesh_edits, provenance(obj).get("elevation")
    is_other = isinstance(earlier, float) and not math.isclose(edits.elevation, earlier, abs_tol=0.05)
    return edits.elevation if is_other and edits.is_property_set("elevation") else None


def requested_changes(obj: bpy.types.Object, folder: Path) -> dict[str, dict | str]:
    """The edits as the backend takes them, images as files, which are written into ``folder`` if need be.

    Raises UserError and OSError.
    """
    changes: dict[str, dict | str] = {}
    for change in obj.image_to_mesh_edits.changes:
        if change.action == "DROP":
            changes[change.name] = "drop"
        elif change.action == "SEED":
            changes[change.name] = {"seed": change.seed}
        elif change.image is None:
            raise UserError(ErrorCode.BAD_OPTION, "A view is to be replaced by an image: choose it, or keep the view.")
        else:
            changes[change.name] = {"image": str(image_file(change.image, folder, f"view {change.name}"))}
    for side, path in view_files(obj.image_to_mesh_edits.views, folder).items():
        changes[side] = {"image": path}
    return changes


class _EditOperator:
    """Mixin of an operator for the views of the active object."""

    bl_options = {"INTERNAL", "UNDO"}

    @classmethod
    def poll(cls, context):
        active = made_object(context)
        if active is None or job_folder(active) is None:
            cls.poll_message_set(SELECT_MADE)
            return False
        return True


class IMAGE_TO_MESH_OT_change_view(_EditOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.change_view"
    bl_label = "Change View"

    view: bpy.props.StringProperty(name="View", options={"SKIP_SAVE"})
    action: bpy.props.EnumProperty(
        name="Change",
        items=[
            ("KEEP", "Keep", "Leave this view as it is"),
            ("DROP", "Drop", "Leave this view out"),
            ("SEED", "Another Seed", "Generate this view anew, with another seed"),
            ("IMAGE", "Replace by Image", "Choose an image that shows the object from this side"),
        ],
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context, properties):
        return cls.bl_rna.properties["action"].enum_items[properties.action].description

    def execute(self, context):
        obj = context.active_object
        changes = obj.image_to_mesh_edits.changes
        earlier = changes.get(self.view)
        repeats = earlier is not None and earlier.action == self.action != "SEED"
        if self.action == "KEEP" or repeats:
            if earlier is not None:
                changes.remove(changes.find(self.view))
            return {"FINISHED"}
        change = earlier or changes.add()
        last_seed = change.seed if earlier is not None and change.action == "SEED" else seed_of(obj, self.view)
        change.name, change.action, change.seed = self.view, self.action, last_seed + 1
        if self.action == "IMAGE" and provenance(obj).get("joint_views"):
            folder = job_folder(obj)
            names = [view.name for view in views_of(folder) if view.is_generated] if folder is not None else []
            for name in names:  # with their own seeds: only what they see is new
                if name not in changes:
                    other = changes.add()
                    other.name, other.action, other.seed = name, "SEED", seed_of(obj, name)
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_discard_edits(_EditOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.discard_edits"
    bl_label = "Discard Changes"
    bl_description = "Keep all views and the elevation as they are"

    def execute(self, context):
        obj = context.active_object
        edits, elevation = obj.image_to_mesh_edits, provenance(obj).get("elevation")
        edits.changes.clear()
        edits.views.clear()
        edits.elevation = elevation if isinstance(elevation, float) else 0.0
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (IMAGE_TO_MESH_OT_change_view, IMAGE_TO_MESH_OT_discard_edits)
)
