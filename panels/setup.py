"""What installing the backend takes, before it begins, and how far it is."""

from __future__ import annotations

import bpy

from ..operators.paths import preferences
from ..operators.setup import EnvironmentTask, plan_facts
from ..operators.setup_plan import setup_planner
from ..operators.tasks import task_manager
from ..operators.text import draw_facts, draw_text
from .task import draw_error, draw_progress


def draw_setup(context, layout) -> None:
    """Where there is no backend yet: the facts, then the button."""
    task = task_manager().latest(EnvironmentTask)
    if task is not None and not task.finished:
        draw_progress(context, layout, task)
        return
    layout.label(text="The backend is not installed yet", icon="INFO")
    planner = setup_planner()
    planner.look()
    if planner.error is not None:
        draw_text(context, layout, str(planner.error), icon="ERROR")
    elif planner.plan is None:
        layout.label(text="Looking at this computer …")
    else:
        draw_facts(context, layout, plan_facts(planner.plan))
        if planner.plan.free < planner.plan.needed:
            layout.operator("image_to_mesh.open_preferences", text="Choose Another Folder", icon="PREFERENCES")
    if not bpy.app.online_access and not bpy.app.online_access_override:
        layout.prop(context.preferences.system, "use_online_access", text="Allow Online Access")
    column = layout.column()
    column.scale_y = 1.5
    column.operator("image_to_mesh.install", icon="IMPORT")
    draw_error(context, layout, task)


def draw_maintenance(context, layout) -> None:
    """Where there is one: what can be done with it."""
    task = task_manager().latest(EnvironmentTask)
    if task is not None and not task.finished:
        draw_progress(context, layout, task)
        return
    if preferences().python:
        layout.label(text="The Python named above is used, and left alone", icon="CHECKMARK")
        layout.operator("image_to_mesh.open_log")
        return
    setup_planner().look()  # for the dialog of Repair
    is_verified = task is not None and task.error is None and task.is_check
    layout.label(text="The backend's files are sound" if is_verified else "The backend is installed", icon="CHECKMARK")
    row = layout.row()
    row.operator("image_to_mesh.verify", text="Verify")
    row.operator("image_to_mesh.install", text="Repair").repair = True
    row.operator("image_to_mesh.remove_backend", text="Remove")
    row.operator("image_to_mesh.open_log")
    draw_error(context, layout, task)
