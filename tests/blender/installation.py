"""The backend's environment: what it takes is known before; refused offline, ended without a trace, removed."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import bpy
from common import PACKAGE, install, module, refused, task_manager


def test(package: Path, folder: Path) -> None:
    install(package)
    setup, location = module("operators.setup"), module("operators.backend_location")
    operators = bpy.ops.image_to_mesh
    system = bpy.context.preferences.system
    there = location.is_ready()

    system.use_online_access = False
    assert "nline" in refused(operators.install)
    system.use_online_access = True
    if there:
        assert operators.install() == {"FINISHED"} and task_manager().latest(setup.EnvironmentTask).error is None

    os.environ.pop("IMAGE_TO_MESH_HOME", None)
    home = folder / "home"
    bpy.context.preferences.addons[PACKAGE].preferences.home = str(home)
    assert not location.is_ready()
    check_plan(setup, home)
    assert "not installed" in refused(operators.verify)
    report = module("operators.remedies").report()
    assert "not installed" in report and bpy.app.version_string in report and str(Path.home()) not in report

    task = setup.EnvironmentTask("Install", lambda listener: setup.install(home, False, listener))
    task_manager().start(task)
    assert task_manager().running(setup.EnvironmentTask) is task and not operators.install.poll()
    assert operators.cancel(task=task.id) == {"FINISHED"}
    started = time.monotonic()
    task_manager().wait(task)
    assert time.monotonic() - started < 20
    assert task.error.code == "cancelled" and not list((home / "env").iterdir())
    assert not location.is_ready() and not operators.cancel.poll()

    (home / "env" / "old").mkdir()
    (home / "weights").mkdir()
    assert operators.remove_backend() == {"FINISHED"}
    assert not (home / "env").exists() and (home / "weights").is_dir()
    check_wrapping(module("operators.text").wrap)


def check_plan(setup, home: Path) -> None:
    planner = module("operators.setup_plan").setup_planner()
    planner.look()
    deadline = time.monotonic() + 30
    while planner.plan is None:
        assert time.monotonic() < deadline and planner.error is None, planner.error
        time.sleep(0.05)
    facts = dict(setup.plan_facts(planner.plan))
    assert facts["Folder"].endswith(os.path.join("home", "env")) and facts["Device"]
    assert abs(planner.plan.free - shutil.disk_usage(home.parent).free / 1e6) < 1000
    assert facts["Download"].endswith("B") and facts["Disk space"].endswith("GB"), facts
    assert not home.exists(), "to look changes nothing"


def check_wrapping(wrap) -> None:
    assert wrap("one two  three", 7, len) == ["one two", "three"] and wrap("", 7, len) == []
    assert wrap("see /home/somebody/data now", 12, len) == ["see", "/home/", "somebody/", "data now"]
    assert all(len(line) <= 3 for line in wrap("Überlänge a ab", 3, len)) and wrap("a", 0, len) == ["a"]
