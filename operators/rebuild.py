"""Rebuild: an object of ours anew, with some of its views changed, or from another elevation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy

from ..backend.client import Backend
from ..backend.errors import ErrorCode, UserError
from ..backend.expected_time import kind_of_job
from ..backend.input_files import read_json
from .job_folders import job_folder, made_object, provenance
from .job_record import read_record
from .new_job import begin_job
from .reconstruction import ReconstructionOperator, ReconstructionTask
from .view_edits import SEEDS, has_edits, new_elevation, requested_changes
from .view_sheet import views_of


class IMAGE_TO_MESH_OT_rebuild(ReconstructionOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.rebuild"
    bl_label = "Rebuild"
    bl_description = "Make the active object anew of its views, changed as chosen; what is not changed is used again"

    @classmethod
    def blocked_reason(cls, context):
        active = made_object(context)
        if active is None or active.mode != "OBJECT":
            return "Select an object made by Image to Mesh, in Object Mode"
        return None if has_edits(active) else "Change a view or the elevation first"

    @classmethod
    def new_task(cls, context):
        obj = context.active_object
        source = job_folder(obj)
        views = views_of(source) if source is not None else ()
        earlier = read_record(source) if source is not None else None
        if source is None or not views or earlier is None:
            raise UserError(
                ErrorCode.NO_STATE, f"The views of “{obj.name}” are not on this computer: generate the object again."
            )
        options = dict(read_json(source / "report.json")["options"])
        if (elevation := new_elevation(obj)) is not None:
            options["elevation"] = elevation
        changes: dict[str, dict | str] = {}

        def write_views(folder: Path) -> dict[str, str]:
            changes.update(requested_changes(obj, folder))
            sides: dict[str, str] = {view.name: view.side for view in views}
            images = {sides.get(name, name): str(path) for name, path in _values(changes, "image").items()}
            return {side: path for side, path in earlier.views.items() if changes.get(side) != "drop"} | images

        folder, record = begin_job(replace(earlier, options=options), write_views=write_views)
        seeds = dict(provenance(obj).get(SEEDS) or {}) | _values(changes, "seed")

        def request(backend: Backend) -> int:
            return backend.rebuild(source, folder, options, changes, show_views=not bpy.app.background)

        about = record.provenance() | ({SEEDS: seeds} if seeds else {})
        kind = kind_of_job("rebuild", options)
        return ReconstructionTask(context, folder, obj.name, about, request, kind, target=obj, rebuilt_from=source)


def _values(changes: dict[str, dict | str], key: str) -> dict[str, object]:
    """That value of every change that has one, by the name of its view."""
    return {name: change[key] for name, change in changes.items() if isinstance(change, dict) and key in change}


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_rebuild,))
