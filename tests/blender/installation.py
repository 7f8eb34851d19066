"""Installing the backend: refused offline, ended on request without leaving anything, instant where it is there."""

from __future__ import annotations

import os

import bpy
from common import PACKAGE, arguments, install, part, refused, run


def test() -> None:
    package, folder = arguments()
    install(package)
    setup = part("operators.setup")
    system = bpy.context.preferences.system
    there = setup.is_ready()

    system.use_online_access = False
    assert "nline" in refused(bpy.ops.image_to_mesh.install)
    system.use_online_access = True
    if there:
        assert bpy.ops.image_to_mesh.install() == {"FINISHED"} and setup.current.error is None

    os.environ.pop("IMAGE_TO_MESH_HOME", None)
    bpy.context.preferences.addons[PACKAGE].preferences.home = str(folder / "home")
    assert not setup.is_ready()
    setup.current = setup.Setup(folder / "home", repair=False)
    assert setup.is_running() and not bpy.ops.image_to_mesh.install.poll()
    assert bpy.ops.image_to_mesh.cancel_install() == {"FINISHED"}
    setup.current.wait(20)
    assert setup.current.error.code == "cancelled" and not list((folder / "home" / "env").iterdir())
    assert not setup.is_ready() and not bpy.ops.image_to_mesh.cancel_install.poll()


run(test)
