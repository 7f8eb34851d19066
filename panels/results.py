"""The list of results: what there is on this computer, and what can be done with it."""

from __future__ import annotations

import time

from ..operators.job_list import Job
from ..operators.saved_results import PAGE, idle_jobs
from .preview import thumbnail_of

_AGES = ((86400, "d"), (3600, "h"), (60, "min"))


class ResultsPanel:
    """The newest results first, a few at a time."""

    bl_label = "Saved Results"
    bl_category = "Image to Mesh"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 4

    @classmethod
    def poll(cls, context):
        return bool(idle_jobs())

    def draw(self, context):
        layout, jobs = self.layout, idle_jobs()
        first = min(context.window_manager.image_to_mesh_first_result, len(jobs) - 1)
        for job in jobs[first : first + PAGE]:
            _draw_job(layout.box(), job)
        if len(jobs) > PAGE:
            _draw_pages(layout, first, len(jobs))


def _draw_job(layout, job: Job) -> None:
    row = layout.row()
    picture = row.column()
    icon = thumbnail_of(job.thumbnail, job.finished)
    if icon:
        picture.template_icon(icon, scale=5)
    else:
        picture.label(icon="IMAGE_DATA")
    about = row.column()
    lines = about.column(align=True)
    lines.label(text=job.record.name)
    lines.label(text=job.picture)
    size = f"{job.bytes / 1e6:.1f} MB"
    lines.label(text=f"{job.faces:,} faces, {size}" if job.faces else "Interrupted")
    buttons = about.row(align=True)
    if job.faces:
        buttons.operator("image_to_mesh.add_saved_result", text="", icon="IMPORT").job = job.folder.name
    buttons.operator("image_to_mesh.generate_again", text="", icon="FILE_REFRESH").job = job.folder.name
    buttons.operator("image_to_mesh.open_job_folder", text="", icon="FILE_FOLDER").job = job.folder.name
    buttons.operator("image_to_mesh.delete_result", text="", icon="TRASH").job = job.folder.name
    age = buttons.row()
    age.alignment = "RIGHT"
    age.label(text=_age(time.time() - job.finished))


def _draw_pages(layout, first: int, count: int) -> None:
    row = layout.row(align=True)
    newer, older = row.row(align=True), row.row(align=True)
    newer.enabled, older.enabled = first > 0, first + PAGE < count
    newer.operator("image_to_mesh.show_results", text="Newer", icon="TRIA_LEFT").first = max(0, first - PAGE)
    older.operator("image_to_mesh.show_results", text="Older", icon="TRIA_RIGHT").first = first + PAGE


def _age(seconds: float) -> str:
    """In the largest unit that fits."""
    return next((f"{int(seconds // unit)} {name}" for unit, name in _AGES if seconds >= unit), "now")
