"""Remesh: a new face budget or texture size from the saved field, without generating again."""

from __future__ import annotations

import bpy

from ..backend.client import Backend
from ..backend.errors import ErrorCode, UserError
from ..backend.expected_time import kind_of_job
from ..properties import option_values
from .job_folders import job_folder, made_object, provenance
from .job_record import described
from .reconstruction import ReconstructionOperator, ReconstructionTask


class IMAGE_TO_MESH_OT_remesh(ReconstructionOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.remesh"
    bl_label = "Remesh"
    bl_description = (
        "Rebuild the active object with the face count and texture size of the settings, "
        "from the surface that was saved when it was generated"
    )

    @classmethod
    def blocked_reason(cls, context):
        active = made_object(context)
        if active is None or active.mode != "OBJECT":
            return "Select an object made by Image to Mesh, in Object Mode"
        return None

    close_handles: bpy.props.BoolProperty(
        name="Close Handles",
        description="Fill narrow holes through the object that it should not have",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context, properties):
        if properties.close_handles:
            return "Rebuild the active object with the narrow holes through it filled; a hole as wide as a mug's stays"
        return cls.bl_description

    def new_task(self, context):
        obj = context.active_object
        options = option_values(context.scene) | {"close_handles": self.close_handles}
        folder = job_folder(obj)
        if folder is None or not (folder / "field.safetensors").is_file():
            raise UserError(
                ErrorCode.NO_FIELD,
                f"The saved field of “{obj.name}” is not on this computer: generate the object again.",
            )

        def request(backend: Backend) -> int:
            return backend.remesh(folder, options)

        about = provenance(obj) | {"options": described(options)}
        return ReconstructionTask(context, folder, obj.name, about, request, kind_of_job("remesh", options), target=obj)


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_remesh,))
