"""How a panel shows the cutout of an image, and what can be decided about it."""

from __future__ import annotations

from ..operators import mask_painting
from ..operators.cutout import METHODS, shown_check
from ..operators.reconstruction import ReconstructionTask
from ..operators.text import draw_text
from . import preview


def draw_cutout(context, layout, task: ReconstructionTask) -> None:
    """The cutout that waits for a decision."""
    check = shown_check()
    if check is None:
        return
    if check.found:
        layout.label(text=task.text, icon="IMAGE_ALPHA")
    icon = preview.icon_of(check.preview)
    if icon:
        layout.template_icon(icon, scale=8)
    for warning in check.warnings:
        draw_text(context, layout, warning)
    row = layout.row(align=True)
    row.scale_y = 1.5
    seconds = check.seconds_left
    row.operator("image_to_mesh.cutout_go_on", text="Go On" if seconds is None else f"Go On ({seconds} s)", icon="PLAY")
    if seconds is not None:
        row.operator("image_to_mesh.cutout_wait", text="", icon="PAUSE")
    layout.operator_menu_enum(
        "image_to_mesh.cut_out_by", "method", text=f"Cut Out by: {METHODS.get(check.method, check.method)}"
    )
    if mask_painting.find(check) is None:
        layout.operator("image_to_mesh.paint_mask", icon="BRUSH_DATA")
    else:
        _draw_brush(context, layout)
    layout.operator("image_to_mesh.cancel", icon="CANCEL").task = task.id


def _draw_brush(context, layout) -> None:
    """How the brush paints on the cutout that is open in an Image Editor."""
    brush = context.tool_settings.image_paint.brush
    if brush is None:
        layout.label(text="Choose a brush in the Image Editor", icon="BRUSH_DATA")
        return
    row = layout.row(align=True)
    row.prop_enum(brush, "blend", "ERASE_ALPHA", text="Remove")
    row.prop_enum(brush, "blend", "ADD_ALPHA", text="Add")
