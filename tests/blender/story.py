"""An artist's first hour, told in Blender's window, with a screenshot of every step to be looked at.

Buttons are pressed, objects selected and keys hit by simulated events of mouse and keyboard. A file that is dropped
from the desktop or chosen in Blender's file browser cannot be simulated: the drop calls the operator that Blender
calls, and the choice sets the property. Panels are opened as ``screenshots.open_panels`` says.

Arguments as for ``window``; the folder of weights may be ``starter``. The second half is told after a restart.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import bpy
import numpy as np
from common import PACKAGE, arguments, counts, install, module, reconstruction, task_manager
from mathutils import Euler
from mouse import ICONS, click_object, press_button
from person import (
    autosave_to,
    drop,
    has_autosaved,
    is_running,
    open_tab,
    paused,
    play_and_press_escape,
    press,
    run_story,
    until,
    viewport,
)
from screenshots import look, open_panels

IMAGES = Path(__file__).resolve().parents[2] / "examples"


def story():
    package, folder, python, weights = arguments()
    assert not bpy.app.online_access
    install(package)
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    yield from read_the_facts(preferences, folder)
    preferences.python, preferences.device = str(python), "cpu"
    settings = bpy.context.scene.image_to_mesh
    settings.weights, settings.faces = str(weights), 8000
    yield from drop_two_files(folder)
    yield from check_the_cutout_and_keep_working(folder)
    yield from another_back_and_undo(folder)
    yield from remesh_with_an_edited_material(folder)
    yield from give_a_photo_of_the_back(folder)

    work = str(folder / "work.blend")
    bpy.ops.wm.save_as_mainfile(filepath=work)
    bpy.ops.wm.save_userpref()
    task_manager().close()
    given = sys.argv[sys.argv.index("--") + 1 :]
    script = str(Path(__file__).with_name("start.py"))
    program = [bpy.app.binary_path, work, "--enable-event-simulate", "--python", script, "--"]
    sys.stdout.flush()
    os.execv(program[0], [*program, "story_restarted", *given[1:]])


def read_the_facts(preferences, folder: Path):
    """What installing the backend would take, where there is none yet and no network either."""
    home = os.environ.pop("IMAGE_TO_MESH_HOME", None)
    preferences.home = str(folder / "empty")
    yield from open_tab()
    yield 2.0  # a thread looks at this computer
    yield from look(folder, "01-set-up")
    if home is not None:
        os.environ["IMAGE_TO_MESH_HOME"] = home
    preferences.home = ""


def drop_two_files(folder: Path):
    """Two images on the 3D View: the views of the first get sharper, the second waits; for it there is a time left."""
    for name in ("teddy.png", "mug.png"):
        shutil.copy(IMAGES / name, folder)
    drop("VIEW_3D", folder, "teddy.png", "mug.png")
    yield 1.0
    assert not is_running()  # Blender could make image empties of them too, and asks
    yield from look(folder, "02-drop")
    yield from press("I")  # Image Files to Meshes
    yield from until(lambda: is_running() and reconstruction().fraction > 0)
    yield from look(folder, "03-two-files")
    yield from until(lambda: reconstruction().preview is not None)
    print("SHOWN", reconstruction().preview.name)
    yield from look(folder, "04-views")
    yield from until(lambda: "teddy" in bpy.data.objects and reconstruction().text == "Generating views")
    assert reconstruction().expected_time.seconds_left() is not None, "nothing was learned from the first job"
    yield from look(folder, "05-time-left")
    yield from until(lambda: not is_running() and not task_manager().waiting())
    cube, teddy, mug = (bpy.data.objects[name] for name in ("Cube", "teddy", "mug"))
    assert cube.location.x + 1 < teddy.location.x < mug.location.x, "they do not stand beside each other"
    show_all()
    yield from look(folder, "06-beside-the-cube")


def check_the_cutout_and_keep_working(folder: Path):
    """The cutout waits; then playback, autosave and Edit Mode, while the job runs."""
    bpy.context.scene.image_to_mesh.image = bpy.data.images.load(str(IMAGES / "chair.png"))
    module("operators.cutout_check").PAUSE = 60.0  # this mouse looks longer for a button than a person does
    yield from press_button("generate(")
    task = reconstruction()
    yield from until(lambda: task.check.is_shown)
    yield from press_button("cutout_wait(", ICONS)
    assert task.check.seconds_left is None
    yield from look(folder, "07-cutout")
    yield from press_button("cutout_go_on(")
    yield from until(lambda: task.text == "Generating views")
    yield from play_and_press_escape()
    assert is_running(), "Esc ended the job too"

    autosave_to(folder)
    yield from paused(task, lambda: has_autosaved(folder))
    bpy.context.preferences.filepaths.use_auto_save_temporary_files = False
    yield from click_object("Cube")
    yield from press("TAB")
    yield from look(folder, "08-edit-mode")
    yield from until(lambda: not is_running())
    assert task.added and bpy.context.mode == "EDIT_MESH" and bpy.context.active_object == bpy.data.objects["Cube"]
    yield from press("TAB")
    assert bpy.context.mode == "OBJECT"
    yield from look(folder, "09-done")


def another_back_and_undo(folder: Path):
    """A second bear beside the first one; undo takes it back in one step, redo brings it again."""
    yield from click_object("teddy")
    before = counts()
    yield from press_button("another_back(")
    yield from until(lambda: not is_running())
    first, second = bpy.data.objects["teddy"], bpy.context.active_object
    assert second["image_to_mesh"]["options"]["seed"] == first["image_to_mesh"]["options"]["seed"] + 1
    assert second.location.x > first.location.x
    show_all()
    yield from look(folder, "10-another-back")
    yield from press("Z", ctrl=True)
    assert counts() == before, f"{before} became {counts()}"
    yield from look(folder, "11-undone")
    yield from press("Z", ctrl=True, shift=True)
    write_back_photo(folder, bpy.data.objects["teddy.001"])


def remesh_with_an_edited_material(folder: Path):
    """What was changed in the material stays."""
    yield from click_object("teddy")
    material = bpy.context.active_object.active_material
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value, material.name = 0.25, "Plush"
    bpy.context.scene.image_to_mesh.faces = 3000
    yield from press_button("remesh(")
    yield from until(lambda: not is_running())
    obj = bpy.data.objects["teddy"]
    assert len(obj.data.polygons) == 3000 and obj.active_material == bpy.data.materials["Plush"]
    shader = next(node for node in obj.active_material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    assert abs(shader.inputs["Roughness"].default_value - 0.25) < 1e-6
    yield from look(folder, "12-remeshed")


def give_a_photo_of_the_back(folder: Path):
    """The views of the result, one of which a photo replaces; then Rebuild."""
    open_panels("mesh_views")
    obj = bpy.context.active_object
    yield from press_button("add_view(of_object=True")
    (view,) = obj.image_to_mesh_edits.views
    assert view.side == "back"
    view.image = bpy.data.images.load(str(folder / "back.png"))
    yield 0.5
    yield from look(folder, "13-photo-of-the-back+")
    yield from press_button("rebuild(")
    yield from until(lambda: not is_running())
    assert reconstruction().added, reconstruction().error
    assert "back" in [view.name for view in module("operators.view_sheet").views_of(reconstruction().folder)]
    yield from look(folder, "14-rebuilt+")


def write_back_photo(folder: Path, obj: bpy.types.Object) -> None:
    """The back of another bear, as a photo."""
    made = module("operators.job_folders").job_folder(obj)
    with np.load(made / "views.npz") as arrays:
        index = arrays["names"].tolist().index("2")
        pixels = np.dstack([arrays["images"][index], arrays["masks"][index]])[::-1] / np.float32(255)
    image = bpy.data.images.new("photo", pixels.shape[1], pixels.shape[0], alpha=True)
    image.pixels.foreach_set(pixels.astype(np.float32).ravel())
    image.filepath_raw, image.file_format = str(folder / "back.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)


def show_all() -> None:
    """Look at all objects, from the front."""
    view = viewport().spaces.active.region_3d
    view.view_rotation = Euler((1.3, 0, 0.1)).to_quaternion()
    view.view_location, view.view_distance = (2.2, 0, 0.4), 7.0


run_story(story)
