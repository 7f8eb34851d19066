"""The one way an error reaches a person: one sentence; what was not foreseen goes to the log with its traceback."""

from __future__ import annotations

import traceback

import bpy

from ..backend.errors import ErrorCode, UserError, to_user_error
from .paths import log_file
from .text import draw_lines


def log_unexpected(error: Exception) -> UserError:
    """Any exception as one sentence."""
    if not isinstance(error, UserError):
        with open(log_file(), "a", encoding="utf-8") as log:
            traceback.print_exception(error, file=log)
    return to_user_error(error, str(log_file()))


def report_error(operator: bpy.types.Operator, error: Exception) -> set[str]:
    """Report what an operator failed of; what its ``execute`` returns. A script gets a report of type ERROR as a
    RuntimeError."""
    user_error = log_unexpected(error)
    is_news = user_error.code != ErrorCode.CANCELLED or bpy.app.background
    operator.report({"ERROR" if is_news else "INFO"}, str(user_error))
    return {"CANCELLED"}


def show_error(error: UserError) -> None:
    """Show why a task failed that no operator waits for; the panel shows it too, for longer, with what mends it."""
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows or error.code == ErrorCode.CANCELLED:
        return
    with bpy.context.temp_override(window=windows[0]):
        bpy.context.window_manager.popup_menu(
            lambda menu, context: draw_lines(context, menu.layout, str(error)), title="Image to Mesh", icon="ERROR"
        )
