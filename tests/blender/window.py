"""What a person does in Blender's window: operator search, cancelling, the result and its undo step."""

from __future__ import annotations

import os

import bpy
from common import arguments, check_object, counts, disc, install, module, reconstruction, task_manager, use_backend
from person import open_tab, press, run_story, search, until, window


def story():
    package, folder, python, weights = arguments()
    install(package)
    use_backend(python, weights)
    bpy.context.scene.image_to_mesh.image = image = disc()
    image.pack()  # Blender 4.3's undo loses unsaved pixels
    yield from open_tab()
    bpy.ops.ed.undo_push(message="What this script has set")

    before = counts()
    yield from search("image to mesh")
    assert is_running(), "operator search (F3) did not start it"
    assert not window().modal_operators, "an operator runs as long as the job"
    yield from press("ESC")
    yield 1.0
    assert is_running(), "Esc, which may be meant for something else, cancelled the job"
    bpy.ops.image_to_mesh.cancel(task=reconstruction().id)
    yield from until(lambda: not is_running())
    assert reconstruction().error.code == "cancelled" and counts() == before

    bpy.ops.ed.undo_push(message="What is undone during the job")
    yield from search("image to mesh")
    assert is_running()
    bpy.ops.ed.undo()
    yield from until(lambda: not is_running())
    task = reconstruction()
    assert task.added, task.error
    check_object(bpy.context.view_layer.objects["disc"])
    bpy.ops.ed.undo()
    assert counts() == before, f"{before} became {counts()}: undo did not take back the whole result in one step"
    bpy.ops.ed.redo()
    check_object(bpy.context.view_layer.objects["disc"])

    sheet = task.folder / "views.png"
    assert task.preview.name == sheet.name and module("panels.preview").icon_of(sheet) > 0

    bpy.context.scene.image_to_mesh.weights = str(folder / "nothing")
    before = counts()
    yield from search("image to mesh")
    yield from until(lambda: not is_running())
    yield 1.0
    assert reconstruction().error.code == "weights_missing", reconstruction().error
    assert counts() == before, f"{before} became {counts()}"
    if screenshot := os.environ.get("IMAGE_TO_MESH_SHOT"):  # for a person to check how the error is shown
        open(screenshot, "w").close()
        yield 5.0
    assert not task_manager().is_running()


def is_running() -> bool:
    return task_manager().running(module("operators.reconstruction").ReconstructionTask) is not None


run_story(story)
