"""Words become an object, through the real backend process; the picture that was painted is there to look at."""

from __future__ import annotations

from pathlib import Path

import bpy
from common import arguments, check_object, counts, install, part, refused, run, use_backend


def test() -> None:
    package, folder, python, weights, model = arguments()
    install(package)
    use_backend(python, weights)
    settings = bpy.context.scene.image_to_mesh
    assert not bpy.ops.image_to_mesh.imagine.poll()
    assert "what it shall be" in refused(bpy.ops.image_to_mesh.imagine)

    settings.text = "eine blaue Teekanne"
    before = counts()
    told = refused(bpy.ops.image_to_mesh.imagine)
    assert "weights fetch" in told and "preferences" in told and counts() == before
    jobs = part("operators.paths").user_folder() / "jobs"
    assert not list(jobs.iterdir())

    settings.text_model = str(model)
    assert bpy.ops.image_to_mesh.imagine() == {"FINISHED"}
    thing = bpy.context.active_object
    check_object(thing)
    assert thing.name == "eine blaue Teekanne"
    about = thing["image_to_mesh"].to_dict()
    assert about["text"] == settings.text and "picture" not in about
    picture = bpy.data.images["Picture of eine blaue Teekanne"]
    assert tuple(picture.size) == (64, 64) and Path(picture.filepath).parent == Path(about["folder"])
    assert tuple(picture.pixels[:3]) > (0.9, 0.9, 0.9)

    settings.image = picture  # and the same picture once more, as any other
    assert bpy.ops.image_to_mesh.generate() == {"FINISHED"}
    check_object(bpy.context.active_object)
    assert bpy.ops.image_to_mesh.rework() == {"FINISHED"}

    out = str(folder / "out.blend")
    bpy.ops.wm.save_as_mainfile(filepath=out)
    bpy.ops.wm.open_mainfile(filepath=out)
    assert "Picture of eine blaue Teekanne" in bpy.data.images


run(test)
