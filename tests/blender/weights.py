"""Weights from Blender: added from disk, chosen, removed; a bad file and no network are one sentence."""

from __future__ import annotations

import os
import time
from pathlib import Path

import bpy
from common import install, module, refused, task_manager, use_backend


def test(package: Path, folder: Path, python: Path, source: Path) -> None:
    install(package)
    operators = bpy.ops.image_to_mesh
    weights = module("operators.weights")
    os.environ["IMAGE_TO_MESH_HOME"] = str(folder / "home")
    use_backend(python, source)
    module("operators.backend_location").refresh()
    assert weights.installed_weights() == {} and "zero123-xl" in weights.catalog_entries()

    bpy.context.preferences.system.use_online_access = False
    assert "nline" in refused(lambda: operators.fetch_weights(name="loftr"))

    assert operators.add_weights(filepath=str(source)) == {"FINISHED"}
    (mine,) = weights.installed_weights().values()
    assert mine.kind == "bundle" and mine.folder.is_dir() and mine.bytes > 0
    assert task_manager().latest(weights.WeightsTask).finished and not operators.cancel.poll()
    operators.use_weights(name=mine.name)
    assert bpy.context.scene.image_to_mesh.weights == mine.name

    (folder / "bad.ckpt").write_bytes(b"hello")
    assert "bad.ckpt" in refused(lambda: operators.add_weights(filepath=str(folder / "bad.ckpt")))
    assert list(weights.installed_weights()) == [mine.name]

    bpy.context.preferences.system.use_online_access = True
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache")}
    assert "could not be reached" in refused(lambda: operators.fetch_weights(name="loftr"))

    assert operators.remove_weights(name=mine.name) == {"FINISHED"}
    assert weights.installed_weights() == {} and not mine.folder.exists()
    assert "No weights named" in refused(lambda: operators.remove_weights(name=mine.name))

    task = weights.WeightsTask(lambda backend: backend.add_weights(source))
    task_manager().start(task)
    assert task_manager().running(weights.WeightsTask) is task and not operators.add_weights.poll()
    assert operators.cancel(task=task.id) == {"FINISHED"}
    started = time.monotonic()
    task_manager().wait(task)
    assert time.monotonic() - started < 20
    assert task.error.code == "cancelled" and not list((folder / "home" / "weights").iterdir())
