"""Quads: the active object's surface as quads, with new UVs and its texture baked anew, by a Blender in the
background."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from pathlib import Path

import bpy
import numpy as np

from ..backend.errors import Cancelled, ErrorCode, UserError, to_user_error
from ..backend.logged_process import run_logged
from .background_task import BackgroundTask
from .job_folders import PROVENANCE, job_folder, made_object
from .material import load_confidence, load_texture, new_material
from .paths import log_file
from .reporting import report_error
from .result_files import read_result
from .scene import fill_mesh, put_mesh
from .task_operator import run_task
from .tasks import task_manager

_WORKER = Path(__file__).with_name("quads_worker.py")
_IMAGES = ("texture.png", "confidence.png")


class QuadsTask(BackgroundTask):
    """From the saved triangles to an object of quads; a thread waits for the other Blender."""

    label = "Quads"

    def __init__(self, context: bpy.types.Context, obj: bpy.types.Object, count: int):
        """About ``count`` quads for ``obj``. Raises UserError (``bad_result``)."""
        super().__init__()
        source = job_folder(obj)
        if source is None or not source.is_dir():
            raise UserError(
                ErrorCode.BAD_RESULT, f"The files of “{obj.name}” are not on this computer: generate it again."
            )
        result = read_result(source)
        self.subject, self.text = obj.name, "Making quads and baking the texture"
        self._target_uid = obj.session_uid
        self._window = context.window.as_pointer() if context.window else 0
        self._folder = Path(tempfile.mkdtemp(prefix="image-to-mesh-"))
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(log_file(), obj.name), daemon=True)
        for name in _IMAGES:
            if (source / name).is_file():
                shutil.copy(source / name, self._folder)
        np.savez(
            self._folder / "triangles.npz",
            vertices=result.vertices,
            faces=result.faces,
            uvs=result.uvs,
            count=count,
        )

    def start(self, manager) -> None:
        self._thread.start()

    def poll(self) -> None:
        if self._thread.is_alive():
            return
        if self._failure is not None:
            self.error, self.finished = to_user_error(self._failure, str(log_file())), True
            return
        target = self._target()
        if target is not None and target.mode != "OBJECT":
            self.text = "Waiting for Object Mode"
            return
        self.finished = True

    def deliver(self) -> None:
        obj = self._target()
        if obj is None:
            raise UserError(ErrorCode.OBJECT_GONE, f"“{self.subject}” no longer exists: undo its deletion, try again.")
        windows = bpy.context.window_manager.windows
        window = next((window for window in windows if window.as_pointer() == self._window), windows[0])
        with bpy.context.temp_override(window=window):
            place_quads(obj, self._folder)
            if not bpy.app.background:
                bpy.ops.ed.undo_push(message="Quads")

    def clean_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self) -> None:
        super().stop()
        self._thread.join(5.0)

    def _target(self) -> bpy.types.Object | None:
        found = (obj for obj in bpy.data.objects if obj.session_uid == self._target_uid and obj.type == "MESH")
        return next(found, None)

    def _run(self, log: Path, name: str) -> None:
        program = bpy.app.binary_path
        options = ["--background", "--factory-startup", "--python-exit-code", "1", "--python"]
        command = [program, *options, str(_WORKER), "--"] if program else [sys.executable, str(_WORKER)]
        try:
            status, _ = run_logged([*command, str(self._folder)], log, self._listen)
            if status or not (self._folder / "quads.npz").is_file():
                raise UserError(
                    ErrorCode.BAD_RESULT, f"Blender could not make quads of “{name}”: use another number of faces."
                )
        except Exception as error:
            self._failure = error

    def _listen(self, line: str) -> None:
        if self.cancelling:
            raise Cancelled
        self.fraction = max(self.fraction, 0.4 if "QuadriFlow" in line else 0.8 if "Baking map saved" in line else 0.1)


def place_quads(obj: bpy.types.Object, folder: Path) -> None:
    """Give ``obj`` the quads in ``folder``; its materials and names stay. Raises UserError (``bad_result``)."""
    created: list[bpy.types.ID] = []
    try:
        with np.load(folder / "quads.npz") as arrays:
            vertices, corners, starts, uvs = (arrays[name] for name in ("vertices", "corners", "starts", "uvs"))
        mesh = bpy.data.meshes.new(obj.data.name)
        created.append(mesh)
        fill_mesh(mesh, vertices, corners, starts, uvs)
        image = load_texture(folder / "texture.png", obj.name, created)
        confidence = load_confidence(folder, obj.name, created)
        if not obj.data.materials:
            mesh.materials.append(new_material(obj.name, image, confidence, uvs[:, None], created))
    except Exception:
        bpy.data.batch_remove(created)
        raise
    put_mesh(obj, mesh, image, confidence)
    obj[PROVENANCE] = {**obj[PROVENANCE].to_dict(), "vertices": len(vertices), "faces": len(starts)}


class IMAGE_TO_MESH_OT_quads(bpy.types.Operator):
    bl_idname = "image_to_mesh.quads"
    bl_label = "Quads"
    bl_description = (
        "Rebuild the active object from quads by Blender's QuadriFlow, half as many as the face count of the settings, "
        "with new UVs and its texture baked anew. Changes made to the mesh are lost; Remesh brings the triangles back"
    )

    @classmethod
    def poll(cls, context):
        active = made_object(context)
        if task_manager().running(QuadsTask):
            cls.poll_message_set("Quads are being made already")
            return False
        if active is None or active.type != "MESH" or active.mode != "OBJECT":
            cls.poll_message_set("Select an object made by Image to Mesh, in Object Mode")
            return False
        return True

    def execute(self, context):
        return self._run(context, wait=True)

    def invoke(self, context, event):
        return self._run(context, wait=bpy.app.background or context.window is None)

    def _run(self, context, wait: bool):
        try:
            task = QuadsTask(context, context.active_object, context.scene.image_to_mesh.faces // 2)
        except Exception as error:
            return report_error(self, error)
        return run_task(self, task, wait)


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_quads,))
