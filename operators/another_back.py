"""Another Back: the same image once more with another seed, beside the object that it is to be compared with."""

from __future__ import annotations

from dataclasses import replace

import bpy

from ..backend.errors import ErrorCode, UserError
from .job_folders import SELECT_MADE, job_folder, made_object, provenance
from .job_record import read_record
from .reconstruction import ReconstructionOperator
from .saved_results import next_seed, repeated_task

_MESH_OPTIONS = ("faces", "texture_size", "close_handles")
"""What Remesh may have changed since."""


class IMAGE_TO_MESH_OT_another_back(ReconstructionOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.another_back"
    bl_label = "Another Back"
    bl_description = (
        "Make a second object from the same image with the next seed, beside this one: "
        "what the image does not show comes out differently"
    )

    job: bpy.props.StringProperty(
        name="Job",
        description="Name of the job's folder; empty: the one that the active object was made by",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    @classmethod
    def blocked_reason(cls, context):
        active = made_object(context)
        if active is None:
            return SELECT_MADE
        folder = job_folder(active)
        return None if folder is not None and folder.is_dir() else "The files of this object are not on this computer"

    def new_task(self, context):
        first = self._first(context)
        folder = job_folder(first)
        record = read_record(folder) if folder is not None else None
        if folder is None or record is None:
            raise UserError(
                ErrorCode.NO_STATE, f"The files of “{first.name}” are not on this computer: generate the object again."
            )
        self.job = folder.name  # for another try, whatever is active then
        options = dict(record.options)
        about = provenance(first).get("options")
        if isinstance(about, dict):
            options |= {name: about[name] for name in _MESH_OPTIONS if name in about}
        taken = {_seed(obj) for obj in bpy.data.objects if _source(obj) == _source(first)}
        options["seed"] = next_seed(options)
        while options["seed"] in taken and next_seed(options) != options["seed"]:
            options["seed"] = next_seed(options)
        return repeated_task(context, replace(record, options=options, camera=False), beside=first)

    def _first(self, context) -> bpy.types.Object:
        folders = ((obj, job_folder(obj)) for obj in bpy.data.objects if self.job)
        made = (obj for obj, folder in folders if folder is not None and folder.name == self.job)
        return next(made, context.active_object)


def _source(obj: bpy.types.Object) -> tuple:
    """What an object was made of; equal for objects of the same image or prompt."""
    about = provenance(obj)
    return about.get("image_sha256"), about.get("prompt")


def _seed(obj: bpy.types.Object) -> object:
    options = provenance(obj).get("options")
    return options.get("seed") if isinstance(options, dict) else None


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_another_back,))
