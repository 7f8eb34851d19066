"""Installing the backend: refused offline, ended on request without leaving anything, instant where it is there."""

from __future__ import annotations

import os
import time

import bpy
from common import PACKAGE, arguments, install, module, refused, run, task_manager


def test() -> None:
    package, folder = arguments()
    install(package)
    setup, location = module("operators.setup"), module("operators.backend_location")
    system = bpy.context.preferences.system
    there = location.is_ready()

    system.use_online_access = False
    assert "nline" in refused(bpy.ops.image_to_mesh.install)
    system.use_online_access = True
    if there:
        assert (
            bpy.ops.image_to_mesh.install() == {"FINISHED"} and task_manager().latest(setup.InstallTask).error is None
        )

    os.environ.pop("IMAGE_TO_MESH_HOME", None)
    bpy.context.preferences.addons[PACKAGE].preferences.home = str(folder / "home")
    assert not location.is_ready()
    task = setup.InstallTask(folder / "home", repair=False)
    task_manager().start(task)
    assert task_manager().running(setup.InstallTask) is task and not bpy.ops.image_to_mesh.install.poll()
    assert bpy.ops.image_to_mesh.cancel(task=task.id) == {"FINISHED"}
    started = time.monotonic()
    task_manager().wait(task)
    assert time.monotonic() - started < 20
    assert task.error.code == "cancelled" and not list((folder / "home" / "env").iterdir())
    assert not location.is_ready() and not bpy.ops.image_to_mesh.cancel.poll()


run(test)
