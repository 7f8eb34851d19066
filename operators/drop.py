"""Image files, dropped on a 3D View or chosen in a file browser, or all of a folder: each becomes an object, one after
the other."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..backend.errors import ErrorCode, UserError
from ..properties import option_values
from .backend_location import is_ready
from .generate import new_task
from .image_input import READ_BY_BACKEND
from .job_record import JobRecord
from .reporting import log_unexpected, report_error
from .tasks import task_manager


class IMAGE_TO_MESH_OT_generate_files(bpy.types.Operator):
    bl_idname = "image_to_mesh.generate_files"
    bl_label = "Image Files to Meshes"
    bl_description = (
        "Turn image files into textured objects, one after the other, in a row that begins at the 3D cursor. "
        "If no file is chosen: all image files of the folder"
    )

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"HIDDEN", "SKIP_SAVE"})
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    filter_glob: bpy.props.StringProperty(
        default=";".join(f"*{ending}" for ending in sorted(READ_BY_BACKEND)), options={"HIDDEN"}
    )

    @classmethod
    def poll(cls, context):
        if not is_ready():
            cls.poll_message_set("Install the backend in the Image to Mesh panel first")
        return is_ready()

    def invoke(self, context, event):
        if bpy.app.background or context.window is None:
            return self.execute(context)
        if self.files or self.filepath:
            return self._run(context, wait=False)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        return self._run(context, wait=bpy.app.background or context.window is None)

    def _run(self, context, wait: bool):
        """Queue a task for each file. With ``wait`` run one after the other, and report those that failed together."""
        manager, failures = task_manager(), []
        paths = self._paths()
        if not paths:
            return report_error(
                self,
                UserError(ErrorCode.BAD_IMAGE, "There is no image file: choose some, or a folder of them."),
            )
        is_retry = len(paths) == 1 and not self.files
        manager.failures = [task for task in manager.failures if is_retry and self._file_of(task) != str(paths[0])]
        for path in paths:
            try:
                task = self._task(context, path)
                if not wait:
                    manager.queue(task)
                    continue
                manager.start(task)
                manager.wait(task)
                if task.error is not None:
                    raise task.error
            except Exception as error:
                failures.append(f"{path.name}: {log_unexpected(error)}")
        if failures:
            self.report({"ERROR"}, "; ".join(failures))
            return {"CANCELLED"}
        return {"FINISHED"}

    @staticmethod
    def _file_of(task) -> str:
        """The image file of a task of ours, where it can be retried."""
        return task.started_by[1].get("filepath", "") if task.started_by is not None else ""

    def _paths(self) -> list[Path]:
        """The chosen files, else the one named, else all image files of the folder."""
        folder = Path(bpy.path.abspath(self.directory)) if self.directory else None
        paths = [folder / file.name for file in self.files if file.name] if folder is not None else []
        named = Path(bpy.path.abspath(self.filepath)) if self.filepath else None
        if not paths and named is not None and not named.is_dir():
            return [named]
        if paths or folder is None or not folder.is_dir():
            return paths
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in READ_BY_BACKEND and path.is_file())

    def _task(self, context, path: Path):
        settings = context.scene.image_to_mesh
        record = JobRecord(path.stem, option_values(context.scene), camera=settings.camera)
        task = new_task(context, record, lambda folder: path)
        task.started_by = self.bl_idname, {"filepath": str(path)}
        return task


class IMAGE_TO_MESH_FH_images(bpy.types.FileHandler):
    bl_idname = "IMAGE_TO_MESH_FH_images"
    bl_label = "Image to Mesh"
    bl_import_operator = "image_to_mesh.generate_files"
    bl_file_extensions = ";".join(sorted(READ_BY_BACKEND))

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type in {"VIEW_3D", "OUTLINER"}


def _draw_menu(self, context) -> None:
    self.layout.operator_context = "INVOKE_DEFAULT"
    self.layout.operator(IMAGE_TO_MESH_OT_generate_files.bl_idname, icon="FILE_IMAGE")


_CLASSES = (IMAGE_TO_MESH_OT_generate_files, IMAGE_TO_MESH_FH_images)


def register() -> None:
    for registered in _CLASSES:
        bpy.utils.register_class(registered)
    bpy.types.TOPBAR_MT_file_import.append(_draw_menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(_draw_menu)
    for registered in reversed(_CLASSES):
        bpy.utils.unregister_class(registered)
