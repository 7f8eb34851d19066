"""A camera that sees an object where its image shows it; and that image behind it."""

from __future__ import annotations

from pathlib import Path

import bpy
from mathutils import Matrix, Vector

from ..backend.errors import ErrorCode, UserError
from . import placement
from .job_folders import job_folder, jobs_folder, poll_made_object
from .job_record import read_record
from .reporting import report_error
from .result_files import Result, read_result

_SENSOR = 36.0
"""Width of the sensor in millimeters."""
_NAME_BYTES = 63
"""Longest name of a datablock in Blender 4."""
_HORIZONTAL, _VERTICAL = 1, 2
"""Numbers of the sensor's fits, for a driver."""
_SCENE_VALUES = {"x": "resolution_x", "y": "resolution_y", "u": "pixel_aspect_x", "v": "pixel_aspect_y"}


def add_camera(obj: bpy.types.Object, result: Result, created: list) -> bpy.types.Object:
    """A camera, child of ``obj``. The whole image is inside its frame, as large as it can be, whatever the aspect ratio
    of the render is: drivers follow the scene's resolution.

    ``result.camera``: ``camera_to_world`` 4x4, ``focal`` in canvas sides, ``canvas`` (left, top, side) in
    pixels of the image, and its ``width`` and ``height``.
    """
    data = bpy.data.cameras.new(f"{obj.name} Camera"[:_NAME_BYTES])
    created.append(data)
    camera = bpy.data.objects.new(data.name, data)
    created.append(camera)
    image = result.camera
    left, top, side = image["canvas"]
    width, height = image["width"], image["height"]
    data.lens = image["focal"] * side / width * _SENSOR
    data.sensor_width, data.sensor_height = _SENSOR, _SENSOR * height / width
    is_wide = f"x * u * {height} > y * v * {width}"  # the render is wider than the image
    _drive(data, "sensor_fit", f"{_VERTICAL} if {is_wide} else {_HORIZONTAL}")
    shift_x, shift_y = width / 2 - (left + side / 2), top + side / 2 - height / 2  # in pixels; Blender's are in sides
    _drive(data, "shift_x", f"{shift_x} / ({height} if {is_wide} else {width})")
    _drive(data, "shift_y", f"{shift_y} / ({height} if {is_wide} else {width})")
    pose = Matrix(image["camera_to_world"])
    pose.translation = result.scale * (pose.translation - Vector(result.origin.tolist()))
    camera.parent = obj
    camera.matrix_basis = pose
    return camera


def _drive(data: bpy.types.Camera, name: str, expression: str) -> None:
    """Let a property follow the resolution of the scene that is open, whichever that is."""
    driver = data.driver_add(name).driver
    for variable, path in _SCENE_VALUES.items():
        value = driver.variables.new()
        value.name, value.type = variable, "CONTEXT_PROP"
        value.targets[0].context_property = "ACTIVE_SCENE"
        value.targets[0].data_path = f"render.{path}"
    driver.expression = expression


class IMAGE_TO_MESH_OT_use_camera(bpy.types.Operator):
    bl_idname = "image_to_mesh.use_camera"
    bl_label = "Use Matching Camera"
    bl_description = "Make a camera where the active object's image was taken the scene's camera, with the image behind"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return poll_made_object(cls, context)

    def execute(self, context):
        try:
            camera = _camera_of(context, context.active_object)
        except Exception as error:
            return report_error(self, error)
        context.scene.camera = camera
        if context.area is not None and context.area.type == "VIEW_3D":
            context.area.spaces.active.region_3d.view_perspective = "CAMERA"
        return {"FINISHED"}


def _camera_of(context, obj: bpy.types.Object) -> bpy.types.Object:
    """The matching camera of a result, made anew where it has none, with the image behind it. Raises UserError."""
    folder = job_folder(obj)
    camera = next((child for child in obj.children if child.type == "CAMERA"), None)
    if camera is None:
        if folder is None or not folder.is_dir():
            raise UserError(
                ErrorCode.BAD_RESULT, f"The files of “{obj.name}” are not on this computer: generate it again."
            )
        camera = add_camera(obj, read_result(folder), [])
        placement.link(context, camera)
    record = read_record(folder) if folder is not None else None
    if folder is not None and record is not None and not camera.data.background_images:
        path = Path(record.image) if record.image else folder / "picture.png"
        if path.is_file():
            background = camera.data.background_images.new()
            background.image = _load(path)
            background.frame_method, background.alpha = "FIT", 0.5
            camera.data.show_background_images = True
    return camera


def _load(path: Path) -> bpy.types.Image:
    """An image file; one of a job's folder is packed, since that folder is private and may be deleted."""
    image = bpy.data.images.load(str(path), check_existing=True)
    if path.is_relative_to(jobs_folder()):
        image.pack()
        image.filepath_raw = f"//{image.name}"
    return image


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_use_camera,))
