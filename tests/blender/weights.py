"""Weights from Blender: added from disk, chosen, removed; a bad file and no network are one sentence."""

from __future__ import annotations

import os

import bpy
from common import arguments, install, part, refused, run, use_backend


def test() -> None:
    package, folder, python, source = arguments()
    install(package)
    operators = bpy.ops.image_to_mesh
    weights = part("operators.weights")
    os.environ["IMAGE_TO_MESH_HOME"] = str(folder / "home")
    use_backend(python, source)
    part("operators.setup").look()
    assert weights.here() == {} and "zero123-xl" in weights.entries()

    bpy.context.preferences.system.use_online_access = False
    assert "nline" in refused(lambda: operators.fetch_weights(name="loftr"))

    assert operators.add_weights(filepath=str(source)) == {"FINISHED"}
    (mine,) = weights.here().values()
    assert mine.kind == "bundle" and mine.folder.is_dir() and mine.bytes > 0
    assert weights.current.finished and not operators.cancel_weights.poll()
    operators.use_weights(name=mine.name)
    assert bpy.context.scene.image_to_mesh.weights == mine.name

    (folder / "bad.ckpt").write_bytes(b"hello")
    assert "bad.ckpt" in refused(lambda: operators.add_weights(filepath=str(folder / "bad.ckpt")))
    assert list(weights.here()) == [mine.name]

    bpy.context.preferences.system.use_online_access = True
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache")}
    assert "could not be reached" in refused(lambda: operators.fetch_weights(name="loftr"))

    assert operators.remove_weights(name=mine.name) == {"FINISHED"}
    assert weights.here() == {} and not mine.folder.exists()
    assert "no weights" in refused(lambda: operators.remove_weights(name=mine.name))

    weights.current = weights.Command(python, {}, "add", str(source))
    assert weights.is_running() and not operators.add_weights.poll()
    assert operators.cancel_weights() == {"FINISHED"}
    weights.current.wait(20)
    assert weights.current.error.code == "cancelled" and not list((folder / "home" / "weights").iterdir())


run(test)
