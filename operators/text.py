"""Text in a layout, in as many lines as its real width needs: Blender cuts off what does not fit into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import blf
import bpy

from ..backend.errors import printable

DIALOG_WIDTH = 400
"""Of our dialogs, at a resolution scale of 1."""
_WIDGET = 20
"""Pixels of Blender's widget unit, which its margins are multiples of, at a resolution scale of 1."""
_MARGINS = 2.4
"""Widget units that a panel and a label take on both sides."""
_BOX_MARGINS = 0.8
"""Widget units that a box takes on both sides."""
_TABS = 1.0
"""Widget units of the tabs at a sidebar's edge."""


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """``text`` in lines whose ``measure`` is at most ``width``; what is longer than that, such as a path, is broken."""
    lines, line = [], ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if measure(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
        while len(line) > 1 and measure(line) > width:
            count = next(count for count in range(len(line) - 1, 0, -1) if count == 1 or measure(line[:count]) <= width)
            after_separator = 1 + max(line.rfind(each, 0, count) for each in "/\\")
            count = after_separator if after_separator >= count / 2 else count
            lines.append(line[:count])
            line = line[count:]
    return [*lines, line] if line else lines


def draw_text(context, layout, text: str, width: float = 0, icon: str = "NONE") -> None:
    """A box with ``text``. ``width``: of a dialog, in pixels at a resolution scale of 1; 0: the region's."""
    column = layout.box().column(align=True)
    indent = 1.0 if icon != "NONE" else 0.0
    for number, line in enumerate(wrap(text, _room(context, width, _BOX_MARGINS + indent), _measure(context))):
        column.label(text=line, icon="NONE" if icon == "NONE" else "BLANK1" if number else icon)


def draw_facts(context, layout, facts: Sequence[tuple[str, str]], width: float = 0) -> None:
    """A box with a row for each (label, text); the texts are in lines of their own where they do not fit."""
    measure, room = _measure(context), _room(context, width, _BOX_MARGINS)
    margin = 0.8 * _WIDGET * context.preferences.system.ui_scale
    share = min(0.5, (max(measure(label) for label, _ in facts) + margin) / (room + margin))
    column = layout.box().column(align=True)
    for label, text in facts:
        row = column.split(factor=share)
        row.label(text=label)
        lines = row.column(align=True)
        for line in wrap(text, (1 - share) * (room + margin) - margin, measure):
            lines.label(text=line)


def short_path(path: Path) -> str:
    """A path for a person, below ``~`` where it is in the home folder."""
    try:
        inside = path.relative_to(Path.home())
    except (ValueError, RuntimeError):
        return printable(str(path))
    return printable(str(Path("~") / inside))


def size_of(count: float | None) -> str:
    """A number of bytes for a person; empty if it is not known."""
    return "" if count is None else f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def draw_lines(context, layout: bpy.types.UILayout, text: str) -> None:
    """``text`` in a popup menu, which is as wide as its longest line."""
    width = DIALOG_WIDTH * context.preferences.system.ui_scale
    for line in wrap(text, width, _measure(context)):
        layout.label(text=line)


def _room(context, width: float, margins: float) -> float:
    """Pixels for the text of a line."""
    scale = context.preferences.system.ui_scale
    if width:
        return width * scale - (_MARGINS + margins) * _WIDGET * scale
    tabs = _TABS if context.region.type == "UI" else 0.0
    return context.region.width - (_MARGINS + margins + tabs) * _WIDGET * scale


def _measure(context) -> Callable[[str], float]:
    """The width of a label's text in pixels."""
    preferences = context.preferences
    blf.size(0, preferences.ui_styles[0].widget.points * preferences.system.ui_scale)
    return lambda text: blf.dimensions(0, text)[0]
