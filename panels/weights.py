"""The weights to choose from: a list in the preferences, and menus beside the sidebar's settings."""

from __future__ import annotations

import bpy

from ..backend.weights.catalog import KINDS
from ..operators import weights
from ..operators.tasks import task_manager
from ..operators.text import size_of
from .task import draw_error, draw_progress

_COLUMNS = (0.27, 0.34, 0.42)
"""Widths of the columns name, purpose and license, each as a share of what is left; size and button take the rest."""


def draw_weights(context, layout) -> None:
    """One row for each set of weights: what it is, how large, its license in a word, and what can be done with it."""
    box = layout.box()
    box.label(text="Weights")
    draw_weights_task(context, box)
    ours, entries = weights.installed_weights(), weights.catalog_entries()
    names = [*entries, *(name for name in ours if name not in entries)]
    column = box.column(align=True)
    for name in names:
        mine, entry = ours.get(name), entries.get(name)
        if mine or entry.repo:
            _draw_row(column, name, mine, entry)
    box.operator("image_to_mesh.add_weights", icon="FILE_FOLDER")


def _draw_row(layout, name: str, mine, entry) -> None:
    rest = layout
    cells = []
    for share in _COLUMNS:
        rest = rest.split(factor=share)
        cells.append(rest.row())
    about, purpose, license = cells
    about.label(text=name, icon="CHECKMARK" if mine else "BLANK1")
    purpose.label(text=KINDS.get(mine.kind if mine else entry.kind, ""))
    word = license.operator("image_to_mesh.show_license", text=weights.license_word(name), emboss=False)
    word.name = name
    action = rest.row().split(factor=0.5)
    action.label(text=size_of(mine.bytes if mine else entry.bytes))
    if mine:
        action.operator("image_to_mesh.remove_weights", text="Remove").name = name
    else:
        action.operator("image_to_mesh.fetch_weights", text="Fetch").name = name


def draw_weights_task(context, layout) -> None:
    """The running change of weights, or why the last one failed."""
    task = task_manager().latest(weights.WeightsTask)
    if task is not None and not task.finished:
        draw_progress(context, layout, task)
    else:
        draw_error(context, layout, task)


class _WeightsMenu:
    """Installed weights to use, and those that can be fetched."""

    bl_label = "Weights"
    used: tuple[str, ...] = ()
    """Kinds of weights to choose from."""
    fetched = ""
    """Kind of weights to fetch."""

    def draw(self, context):
        layout = self.layout
        ours, entries = weights.installed_weights(), weights.catalog_entries()
        self.draw_default(layout)
        for name, mine in ours.items():
            if mine.kind in self.used:
                layout.operator("image_to_mesh.use_weights", text=name).name = name
        layout.separator()
        for name, entry in entries.items():
            if entry.kind == self.fetched and entry.repo and name not in ours:
                text = f"Fetch {name} ({size_of(entry.bytes)}, {entry.license_word})"
                layout.operator("image_to_mesh.fetch_weights", text=text).name = name
        layout.operator("image_to_mesh.add_weights")
        layout.operator("image_to_mesh.open_preferences", text="All Weights")

    def draw_default(self, layout) -> None:
        """What is there without fetching anything."""


class IMAGE_TO_MESH_MT_weights(_WeightsMenu, bpy.types.Menu):
    used, fetched = ("view", "bundle"), "view"

    def draw_default(self, layout) -> None:
        layout.operator("image_to_mesh.use_weights", text="starter").name = "starter"


class IMAGE_TO_MESH_MT_text_models(_WeightsMenu, bpy.types.Menu):
    bl_label = "Text-to-Image Models"
    used, fetched = ("text-to-image",), "text-to-image"


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_MT_weights, IMAGE_TO_MESH_MT_text_models))
