"""How an operator accompanies an errand (an installation, a change of weights): a window is redrawn until it has ended,
a script waits for it and reads its progress."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import bpy

from ..backend.errors import UserError
from .paths import redraw

TICK = 0.2
"""Seconds between two looks."""


class Errand(Protocol):
    """Something that goes on outside Blender's main thread, which only reads these values."""

    text: str
    fraction: float
    error: UserError | None
    finished: bool

    def wait(self, seconds: float | None = None) -> None: ...


_looks: list[Callable[[], float | None]] = []
"""The timers of errands in a window."""


def accompany(operator: bpy.types.Operator, errand: Errand, ended: Callable[[], None]) -> set[str]:
    """What the operator's ``execute`` returns. ``ended`` is called when the errand has."""
    if not bpy.app.background:
        _looks.append(partial(_look, errand, ended))
        bpy.app.timers.register(_looks[-1], first_interval=TICK, persistent=True)
        return {"FINISHED"}
    shown = ""
    while not errand.finished:
        if shown != (shown := errand.text):
            print(f"Image to Mesh: {errand.fraction:4.0%}  {shown}", flush=True)
        errand.wait(TICK)
    ended()
    if errand.error is not None:
        operator.report({"ERROR"}, str(errand.error))
        return {"CANCELLED"}
    return {"FINISHED"}


def _look(errand: Errand, ended: Callable[[], None]) -> float | None:
    redraw()
    if not errand.finished:
        return TICK
    ended()
    return None


def forget() -> None:
    """Leave no timer behind."""
    for each in _looks:
        if bpy.app.timers.is_registered(each):
            bpy.app.timers.unregister(each)
    _looks.clear()
