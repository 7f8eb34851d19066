"""The weights to choose from: a list in the preferences and a menu beside the sidebar's setting."""

from __future__ import annotations

import bpy

from ..backend.errors import ErrorCode
from ..backend.weights.catalog import KINDS
from ..operators import weights
from ..operators.tasks import task_manager
from .task import draw_progress


def draw_weights(context, layout) -> None:
    """One row for each set of weights: what it is, how large, its license, and what can be done with it."""
    box = layout.box()
    box.label(text="Weights")
    draw_weights_task(box)
    ours, entries = weights.installed_weights(), weights.catalog_entries()
    names = [*entries, *(name for name in ours if name not in entries)]
    for name in names:
        mine, entry = ours.get(name), entries.get(name)
        if not mine and not entry.repo:
            continue
        row = box.split(factor=0.8)
        about = row.column(align=True)
        kind = KINDS.get(mine.kind if mine else entry.kind, "")
        size = weights.size_of(mine.bytes if mine else entry.bytes)
        about.label(text="   ".join(filter(None, (name, kind, size))), icon="CHECKMARK" if mine else "BLANK1")
        terms = about.row()
        terms.active = False
        terms.label(text=entry.terms if entry else mine.license, icon="BLANK1")
        action = row.column()
        if mine:
            action.operator("image_to_mesh.remove_weights", text="Remove").name = name
        else:
            action.operator("image_to_mesh.fetch_weights", text="Fetch").name = name
    box.operator("image_to_mesh.add_weights", icon="FILE_FOLDER")


def draw_weights_task(layout) -> None:
    """The running change of weights, or why the last one failed."""
    task = task_manager().latest(weights.WeightsTask)
    if task is None:
        return
    if not task.finished:
        draw_progress(layout, task)
    elif task.error is not None and task.error.code != ErrorCode.CANCELLED:
        layout.label(text=str(task.error), icon="ERROR")


class IMAGE_TO_MESH_MT_weights(bpy.types.Menu):
    bl_label = "Weights"

    def draw(self, context):
        layout = self.layout
        ours, entries = weights.installed_weights(), weights.catalog_entries()
        layout.operator("image_to_mesh.use_weights", text="starter").name = "starter"
        for name, mine in ours.items():
            if mine.kind in ("view", "bundle"):
                layout.operator("image_to_mesh.use_weights", text=name).name = name
        layout.separator()
        for name, entry in entries.items():
            if entry.kind == "view" and name not in ours:
                text = f"Fetch {name} ({weights.size_of(entry.bytes)}{'' if entry.commercial else ', non-commercial'})"
                layout.operator("image_to_mesh.fetch_weights", text=text).name = name
        layout.operator("image_to_mesh.add_weights")


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_MT_weights,))
