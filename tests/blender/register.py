"""Enabled and disabled ten times, the extension leaves nothing behind."""

from __future__ import annotations

import threading
from pathlib import Path

import bpy
from common import PACKAGE, install


def present() -> dict:
    """Everything of ours that could stay."""
    menus = ("VIEW3D_MT_mesh_add", "VIEW3D_MT_object", "IMAGE_MT_image", "TOPBAR_MT_file_import")
    return {
        "types": sorted(name for name in dir(bpy.types) if "image_to_mesh" in name.lower()),
        "operators": sorted(dir(bpy.ops.image_to_mesh)),
        "scene": hasattr(bpy.types.Scene, "image_to_mesh"),
        "window manager": sorted(name for name in dir(bpy.types.WindowManager) if "image_to_mesh" in name),
        "menus": [len(getattr(getattr(bpy.types, name).draw, "_draw_funcs", [])) for name in menus],
        "handlers": {
            name: len(handlers)
            for name in dir(bpy.app.handlers)
            if isinstance(handlers := getattr(bpy.app.handlers, name), list)
        },
        "threads": threading.active_count(),
    }


def test(package: Path) -> None:
    install(package)
    bpy.ops.preferences.addon_disable(module=PACKAGE)
    off = present()
    assert not any(off[kind] for kind in ("types", "operators", "scene", "window manager")), off
    on = None
    for _ in range(10):
        bpy.ops.preferences.addon_enable(module=PACKAGE)
        assert on in (None, present()), (on, present())
        on = present()
        assert "IMAGE_TO_MESH_OT_generate" in on["types"] and on["scene"]
        bpy.ops.preferences.addon_disable(module=PACKAGE)
        assert present() == off, (off, present())
