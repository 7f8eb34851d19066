"""Where a new object goes: into which collection, where it stands, whether it is selected."""

from __future__ import annotations

import bpy
import numpy as np

_SOLID = {"MESH", "CURVE", "CURVES", "SURFACE", "META", "FONT", "POINTCLOUD", "VOLUME"}
"""Types of objects that take up room."""
_SURROUNDINGS = 3.0
"""An object so many times as large as the new one is a floor, a room or a landscape, which it may stand in."""
_GAP = 0.1
"""Distance to the object that it stands beside, as a fraction of its longest side."""
_TOUCHING = 0.01
"""Fraction of the longest side by which two objects may overlap: one that stands on a table is not inside it."""


def link(context, obj: bpy.types.Object) -> None:
    """Into the active collection, or, where that one is hidden or excluded from the view layer, the scene's own; also
    into the local views that are open."""
    active = context.view_layer.active_layer_collection
    is_seen = active.is_visible and not active.exclude
    (active.collection if is_seen else context.scene.collection).objects.link(obj)
    context.view_layer.update()  # lists the object
    areas = context.window.screen.areas if context.window else ()
    for space in (area.spaces.active for area in areas if area.type == "VIEW_3D"):
        if space.local_view is not None:
            obj.local_view_set(space, True)


def stand_beside(context, obj: bpy.types.Object) -> None:
    """Move ``obj``, which is linked, along +X until its bounding box is clear of every visible object's.

    Much larger objects do not count, nor do they where the boxes only touch.
    """
    low, high = _bounds(obj)
    side = float((high - low).max())
    boxes = [_bounds(other) for other in _visible_solids(context) if other != obj]
    boxes = [box for box in boxes if float((box[1] - box[0]).max()) <= _SURROUNDINGS * side]
    tolerance = np.array([_TOUCHING * side] * 3)
    shift = 0.0
    while True:
        offset = np.array([shift, 0, 0])
        inside = [
            box
            for box in boxes
            if (low + offset < box[1] - tolerance).all() and (box[0] < high + offset - tolerance).all()
        ]
        if not inside:
            break
        shift = max(float(box[1][0]) for box in inside) - float(low[0]) + _GAP * side
    if shift:
        obj.location.x += shift
        context.view_layer.update()


def select(context, obj: bpy.types.Object) -> None:
    """Select ``obj`` alone and make it active; outside Object Mode nothing changes, since the mode would end."""
    objects = context.view_layer.objects
    if objects.active is not None and objects.active.mode != "OBJECT":
        return
    for selected in list(objects.selected):
        selected.select_set(False, view_layer=context.view_layer)
    obj.select_set(True, view_layer=context.view_layer)
    objects.active = obj


def frame(area: bpy.types.Area, obj: bpy.types.Object) -> None:
    """Turn a 3D View's attention to ``obj``, from where it looks now, whatever is selected and in any mode."""
    space = area.spaces.active
    view = space.region_3d
    low, high = _bounds(obj)
    if view.view_perspective == "CAMERA":
        view.view_perspective = "PERSP"
    view.view_location = ((low + high) / 2).tolist()
    view.view_distance = 1.5 * float(np.linalg.norm(high - low)) * max(1.0, space.lens / 50)


def _visible_solids(context) -> list[bpy.types.Object]:
    layer = context.view_layer
    return [other for other in layer.objects if other.type in _SOLID and other.visible_get(view_layer=layer)]


def _bounds(obj: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest corner, (3,) each, of an object's box along the world's axes."""
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    corners = np.array(evaluated.bound_box) @ np.array(obj.matrix_world.to_3x3()).T + np.array(
        obj.matrix_world.translation
    )
    return corners.min(0), corners.max(0)
