"""Weights to choose from: the list in the preferences and the menu beside the sidebar's setting."""

from __future__ import annotations

import bpy

from ..backend.weights.catalog import KINDS
from ..operators import weights


def draw_weights(context, layout) -> None:
    """One row for each set of weights: what it is, how large, its license, and what can be done with it."""
    box = layout.box()
    box.label(text="Weights")
    draw_command(box)
    here, entries = weights.here(), weights.entries()
    names = [*entries, *(name for name in here if name not in entries)]
    for name in names:
        mine, entry = here.get(name), entries.get(name)
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


def draw_command(layout) -> None:
    """The running command, or why the last one failed."""
    command = weights.current
    if weights.is_running():
        layout.progress(factor=command.fraction, text=command.text)
        layout.operator("image_to_mesh.cancel_weights", icon="CANCEL")
    elif command is not None and command.error is not None and command.error.code != "cancelled":
        layout.label(text=str(command.error), icon="ERROR")


class IMAGE_TO_MESH_MT_weights(bpy.types.Menu):
    bl_label = "Weights"

    def draw(self, context):
        layout = self.layout
        here, entries = weights.here(), weights.entries()
        layout.operator("image_to_mesh.use_weights", text="starter").name = "starter"
        for name, mine in here.items():
            if mine.kind in ("view", "bundle"):
                layout.operator("image_to_mesh.use_weights", text=name).name = name
        layout.separator()
        for name, entry in entries.items():
            if entry.kind == "view" and name not in here:
                text = f"Fetch {name} ({weights.size_of(entry.bytes)}{'' if entry.commercial else ', non-commercial'})"
                layout.operator("image_to_mesh.fetch_weights", text=text).name = name
        layout.operator("image_to_mesh.add_weights")


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_MT_weights,))
