"""How a panel shows a task: its progress with a button that cancels it, or why it failed."""

from __future__ import annotations

import time

from ..backend.errors import ErrorCode
from ..backend.expected_time import describe_time_left
from ..operators.background_task import BackgroundTask
from ..operators.remedies import draw_remedy
from ..operators.tasks import task_manager
from ..operators.text import draw_text
from . import preview

_LISTED = 5
"""Waiting or failed tasks shown at a time."""


def draw_progress(context, layout, task: BackgroundTask) -> None:
    """A running task."""
    if task.subject:
        layout.label(text=task.subject, icon="IMAGE_DATA")
    layout.progress(factor=task.fraction, text=f"{task.fraction:.0%}   {_time(task)}")
    draw_text(context, layout, task.text)
    icon = preview.icon_of(task.preview)
    if icon:
        layout.template_icon(icon, scale=10)
    layout.operator("image_to_mesh.cancel", icon="CANCEL").task = task.id
    waiting = [other for other in task_manager().waiting() if type(other) is type(task)]
    for other in waiting[:_LISTED]:
        row = layout.row()
        row.label(text=f"Next: {other.subject}")
        row.operator("image_to_mesh.cancel", text="", icon="X").task = other.id
    if waiting:
        more = len(waiting) - _LISTED
        layout.operator(
            "image_to_mesh.cancel", text=f"Cancel All ({more} more)" if more > 0 else "Cancel All", icon="X"
        )


def _time(task: BackgroundTask) -> str:
    """How much longer the task takes or, where nobody knows, for how long it has been running."""
    left = task.expected_time.seconds_left() if task.expected_time is not None else None
    if left is not None:
        return describe_time_left(left)
    seconds = int(time.monotonic() - task.started)
    return f"{seconds // 60}:{seconds % 60:02}"


def draw_failures(context, layout) -> None:
    """The image files that failed among several, with what mends each."""
    failures = task_manager().failures
    if not failures:
        return
    row = layout.row()
    row.label(text="1 image failed" if len(failures) == 1 else f"{len(failures)} images failed", icon="ERROR")
    row.operator("image_to_mesh.clear_failures", text="", icon="X")
    for task in failures[-_LISTED:]:
        if task.error is not None:
            message = str(task.error)
            draw_text(context, layout, message if task.subject in message else f"{task.subject}: {message}")
            draw_remedy(layout, task.error, task)


def draw_error(context, layout, task: BackgroundTask | None) -> None:
    """Why a task failed, and what mends that."""
    if task is None or task.error is None or task.error.code == ErrorCode.CANCELLED:
        return
    draw_text(context, layout, str(task.error), icon="ERROR")
    row = layout.row(align=True)
    draw_remedy(row, task.error, task)
    row.operator("image_to_mesh.open_log", text="", icon="TEXT")
