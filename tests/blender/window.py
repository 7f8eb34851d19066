"""What a person does in Blender's window: operator search, cancelling, the result and its undo step."""

from __future__ import annotations

import os

import bpy
from common import arguments, check_object, counts, disc, install, module, reconstruction, task_manager, use_backend
from person import (
    drop,
    is_running,
    open_tab,
    play_and_press_escape,
    press,
    run_story,
    search,
    until,
    viewport,
    window,
)


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

    yield from check_paste(folder)
    yield from check_edit_mode()
    yield from check_playback_and_quitting(folder)
    yield from check_drop(folder)

    bpy.context.scene.image_to_mesh.weights = str(folder / "nothing")
    before = counts()
    yield from search("image to mesh")
    yield from until(lambda: not is_running())
    yield 1.0
    assert reconstruction().error.code == "weights_missing", reconstruction().error
    inputs = module("operators.image_input").inputs
    assert reconstruction().inputs == inputs(bpy.context)
    bpy.context.scene.image_to_mesh.image = bpy.data.images.new("another", 8, 8)
    assert reconstruction().inputs != inputs(bpy.context), "the error stays with another image"
    bpy.context.scene.image_to_mesh.image = bpy.data.images["disc"]  # undo has replaced the datablock
    bpy.data.images.remove(bpy.data.images["another"])
    assert counts() == before, f"{before} became {counts()}"
    if screenshot := os.environ.get("IMAGE_TO_MESH_SHOT"):  # for a person to check how the error is shown
        open(screenshot, "w").close()
        yield 5.0
    assert not task_manager().is_running()


def check_paste(folder):
    """A file copied in a file manager is the image; undo takes the choice back."""
    image = disc()
    image.filepath_raw, image.file_format = str(folder / "copied file.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    settings = bpy.context.scene.image_to_mesh
    before = settings.image.name
    bpy.context.window_manager.clipboard = (folder / "copied file.png").as_uri() + "\n"
    yield 0.5
    with bpy.context.temp_override(window=window(), area=viewport()):
        bpy.ops.image_to_mesh.paste_image("EXEC_DEFAULT", True)
        assert settings.image.name == "copied file.png"
        bpy.ops.ed.undo()
        assert bpy.context.scene.image_to_mesh.image.name == before
        bpy.context.window_manager.clipboard = "no path"
        try:
            bpy.ops.image_to_mesh.paste_image()
        except RuntimeError as error:
            assert "no image on the clipboard" in str(error)
        else:
            raise AssertionError("it pasted something")
    assert viewport().type == "VIEW_3D"


def check_edit_mode():
    """The result of a job comes while a mesh is edited: it is there, and editing goes on, undo included."""
    with bpy.context.temp_override(window=window(), area=viewport()):
        bpy.ops.mesh.primitive_cube_add("EXEC_DEFAULT", True, location=(-3, 0, 0))  # True: an undo step
    cube = bpy.context.active_object
    yield from search("image to mesh")
    assert is_running()
    with bpy.context.temp_override(window=window(), area=viewport()):
        bpy.ops.object.mode_set("EXEC_DEFAULT", True, mode="EDIT")
    yield from until(lambda: not is_running())
    yield 0.5
    assert reconstruction().added and bpy.context.mode == "EDIT_MESH" and bpy.context.active_object == cube
    added = [obj.name for obj in bpy.data.objects if obj.session_uid == reconstruction().object_uid]
    with bpy.context.temp_override(window=window(), area=viewport()):
        bpy.ops.mesh.select_all("EXEC_DEFAULT", True, action="SELECT")
        bpy.ops.transform.translate("EXEC_DEFAULT", True, value=(0, 0, 1))
        bpy.ops.ed.undo()
        assert bpy.context.mode == "EDIT_MESH", "undo left Edit Mode"
        assert added[0] in bpy.data.objects, "undo of an edit took back the result"
        bpy.ops.object.mode_set(mode="OBJECT")
        bpy.ops.image_to_mesh.frame_result()
    check_object(bpy.data.objects[added[0]])


def check_playback_and_quitting(folder):
    """Esc ends playback and no job; Blender asks before it quits, though the file is saved."""
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "saved.blend"))
    yield 0.5
    assert not bpy.data.is_dirty
    yield from search("image to mesh")
    assert is_running()
    yield 0.5
    assert bpy.data.is_dirty, "Blender would quit without asking, and the job would be lost"
    yield from play_and_press_escape()
    assert is_running()
    yield from until(lambda: not is_running())
    assert reconstruction().added


def check_drop(folder):
    """Two image files dropped on the Outliner become two objects, as Blender's own drop operator would have it."""
    image = disc()
    image.file_format = "PNG"
    for name in ("one", "two"):
        image.filepath_raw = str(folder / f"{name}.png")
        image.save()
    bpy.data.images.remove(image)
    drop("OUTLINER", folder, "one.png", "two.png")
    yield 0.5
    assert is_running() and [task.subject for task in task_manager().waiting()] == ["two"]
    yield from until(lambda: not is_running() and not task_manager().waiting())
    assert bpy.data.objects["one"].location.x < bpy.data.objects["two"].location.x


run_story(story)
