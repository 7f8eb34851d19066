"""How a panel shows a task: its progress with a button that cancels it, or why it failed."""

from __future__ import annotations

import textwrap
import time

from ..backend.errors import ErrorCode, UserError
from ..operators.background_task import BackgroundTask
from ..operators.tasks import task_manager
from . import preview

_LETTER_WIDTH = 7
"""Pixels of an average letter, at a resolution scale of 1."""


def draw_progress(layout, task: BackgroundTask) -> None:
    """A running task."""
    if task.subject:
        layout.label(text=task.subject, icon="IMAGE_DATA")
    seconds = int(time.monotonic() - task.started)
    layout.progress(factor=task.fraction, text=f"{task.text}  {seconds // 60}:{seconds % 60:02}")
    icon = preview.icon_of(task.preview)
    if icon:
        layout.template_icon(icon, scale=8)
    layout.operator("image_to_mesh.cancel", icon="CANCEL").task = task.id
    waiting = [other for other in task_manager().waiting() if type(other) is type(task)]
    for other in waiting:
        row = layout.row()
        row.label(text=f"Next: {other.subject}")
        row.operator("image_to_mesh.cancel", text="", icon="X").task = other.id


def draw_error(context, layout, error: UserError | None) -> None:
    """What went wrong, in lines as wide as the region."""
    if error is None or error.code == ErrorCode.CANCELLED:
        return
    draw_text(context, layout, str(error))
    layout.operator("image_to_mesh.open_log", icon="TEXT")


def draw_text(context, layout, text: str) -> None:
    """A box with text, in lines as wide as the region."""
    letters = max(16, int(context.region.width / (_LETTER_WIDTH * context.preferences.system.ui_scale)))
    column = layout.box().column(align=True)
    for line in textwrap.wrap(text, letters):
        column.label(text=line)
