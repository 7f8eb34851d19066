"""A saved .blend holds one object of ours, whole."""

from __future__ import annotations

from pathlib import Path

import bpy
from common import check_object


def test(saved: Path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(saved))
    (obj,) = (candidate for candidate in bpy.data.objects if candidate.type == "MESH")
    check_object(obj)
    assert "image_to_mesh" in obj and obj.name in bpy.context.view_layer.objects
