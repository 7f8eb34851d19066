"""Rework: a new face budget or texture size from the kept field, without generating again."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..backend.errors import ErrorCode, UserError
from ..properties import options_of
from . import job as jobs
from . import scene
from .follow import FollowsJob


class IMAGE_TO_MESH_OT_rework(FollowsJob, bpy.types.Operator):
    bl_idname = "image_to_mesh.rework"
    bl_label = "Rework Mesh"
    bl_description = (
        "Give the active object the face count and texture size of the settings, "
        "from what was kept when it was generated"
    )
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context):
        active = context.active_object
        if active is None or scene.PROVENANCE not in active or active.mode != "OBJECT":
            return "Select an object made by Image to Mesh, in Object Mode"
        return None

    @classmethod
    def job(cls, context):
        thing = context.active_object
        provenance = thing[scene.PROVENANCE].to_dict() | {"options": options_of(context.scene)}
        folder = Path(provenance["folder"])
        if not (folder / "field.safetensors").is_file():
            raise UserError(
                ErrorCode.NO_FIELD, f"What was kept of “{thing.name}” is gone ({folder}): generate it again."
            )
        return jobs.Job(folder=folder, name=thing.name, provenance=provenance, target=thing.name)

    @classmethod
    def request(cls, context, job):
        return lambda backend: backend.rework(job.folder, job.provenance["options"])

    def finish(self, context, job: jobs.Job) -> None:
        thing = bpy.data.objects.get(job.target)
        if thing is None or thing.type != "MESH":
            raise UserError(ErrorCode.OBJECT_GONE, f"“{job.target}” is gone: undo its removal, then rework it again.")
        scene.replace(thing, job.folder, job.provenance)


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_rework,))
