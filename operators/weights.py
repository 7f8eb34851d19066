"""Fetch, add and remove weights: the command ``weights`` in a process of its own, which Blender never waits for."""

from __future__ import annotations

import atexit
import os
import subprocess
import threading
from pathlib import Path

import bpy

from ..backend import protocol
from ..backend.client import START
from ..backend.errors import ErrorCode, UserError
from ..backend.weights.catalog import CatalogEntry, load_catalog
from ..backend.weights.registry import InstalledWeights, installed_weights
from . import errand, setup

PATIENCE = 5.0
"""Seconds for a command to clean up after it was told to stop."""


class Command:
    """A running ``weights`` command. A thread listens to it and sets the values below; it knows no bpy."""

    def __init__(self, python: Path, variables: dict[str, str], action: str, operand: str):
        self.text = "Starting"
        self.fraction = 0.0
        self.error: UserError | None = None
        self.finished = False
        self._cancelled = False
        package = Path(protocol.__file__).resolve().parents[1]
        command = [str(python), "-I", "-u", "-X", "utf8", "-c", START, str(package)]
        command += ["weights", action, "--messages", "--", operand]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        try:
            self._process = subprocess.Popen(
                command,
                env=inherited | variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise UserError(ErrorCode.NO_BACKEND, f"The backend could not be started ({error}): repair it.") from error
        self._errors: list[str] = []
        threading.Thread(target=self._collect, daemon=True).start()
        self._thread = threading.Thread(target=self._follow, name="image-to-mesh weights", daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        for line in self._process.stderr:
            self._errors.append(line)
            del self._errors[:-20]

    def _follow(self) -> None:
        for line in self._process.stdout:
            message = protocol.decode(line)
            if message is not None and not self._cancelled:
                self._take(**message["params"])
        status = self._process.wait()
        if self._cancelled:
            self.error = UserError(ErrorCode.CANCELLED, "Cancelled.")
        elif status:
            told = [line.partition("error: ")[2].strip() for line in self._errors if line.startswith("error: ")]
            message = told[-1] if told else f"The backend ended unexpectedly (exit status {status}): try again."
            self.error = UserError(ErrorCode.WEIGHTS, message)
        self.finished = True

    def _take(self, stage: str, fraction: float, text: str, detail: str) -> None:
        self.fraction, self.text = fraction, f"{text}: {detail}" if detail else text

    def cancel(self) -> None:
        """End it; nothing half made stays, but a download goes on from where it was when it is asked for again."""
        self._cancelled, self.text = True, "Cancelling"
        self._process.terminate()

    def wait(self, seconds: float | None = None) -> None:
        self._thread.join(seconds)

    def kill(self) -> None:
        self._process.kill()


current: Command | None = None
"""The running or the last command."""
_installed: dict[str, InstalledWeights] | None = None
_catalog: dict[str, CatalogEntry] = {}


def is_running() -> bool:
    return current is not None and not current.finished


def here() -> dict[str, InstalledWeights]:
    """The installed weights by name, as far as was known at the last look."""
    global _installed
    if _installed is None:
        _installed = installed_weights(setup.home())
    return _installed


def entries() -> dict[str, CatalogEntry]:
    """The catalog by name."""
    if not _catalog:
        _catalog.update(load_catalog())
    return _catalog


def look() -> None:
    """Find out anew what is installed."""
    global _installed
    _installed = None


class _Changes:
    """Mixin of an operator that runs a command: in a window without blocking it, from a script until it has ended."""

    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if is_running():
            cls.poll_message_set("Weights are being changed: wait, or cancel that")
            return False
        if not setup.is_ready():
            cls.poll_message_set("The backend is not installed yet")
            return False
        return True

    def start(self, action: str, operand: str):
        global current
        try:
            current = Command(*setup.backend(), action, operand)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return errand.accompany(self, current, look)


class IMAGE_TO_MESH_OT_fetch_weights(_Changes, bpy.types.Operator):
    bl_idname = "image_to_mesh.fetch_weights"
    bl_label = "Fetch Weights"
    bl_description = (
        "Download these weights from the model hub, and what they need besides. Their license is shown first"
    )

    name: bpy.props.StringProperty(name="Name", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        return super().poll(context) and setup.may_go_online(cls)

    def invoke(self, context, event):
        entry = entries().get(self.name)
        if bpy.app.background or entry is None:
            return self.execute(context)
        others = "".join(f"; with it {name}: {entries()[name].terms}" for name in entry.needs if name not in here())
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=f"Fetch {self.name} ({size_of(entry.bytes)}) from {entry.repo}?",
            message=f"License: {entry.terms}{others}",
            confirm_text="Fetch",
        )

    def execute(self, context):
        return self.start("fetch", self.name)


class IMAGE_TO_MESH_OT_add_weights(_Changes, bpy.types.Operator):
    bl_idname = "image_to_mesh.add_weights"
    bl_label = "Add Weights from Disk"
    bl_description = (
        "Install a file or folder that you have: a Zero123 checkpoint or diffusers folder, One-2-3-45's checkpoint, "
        "LoFTR's, a rembg model, a text-to-image folder (choose its model_index.json)"
    )

    filepath: bpy.props.StringProperty(name="File or Folder", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: bpy.props.StringProperty(
        default="*.ckpt;*.pth;*.safetensors;*.onnx;model_index.json", options={"HIDDEN"}
    )

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        return self.start("add", bpy.path.abspath(self.filepath))


class IMAGE_TO_MESH_OT_remove_weights(_Changes, bpy.types.Operator):
    bl_idname = "image_to_mesh.remove_weights"
    bl_label = "Remove Weights"
    bl_description = "Delete these weights from this computer"

    name: bpy.props.StringProperty(name="Name", options={"SKIP_SAVE"})

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        size = size_of(here()[self.name].bytes) if self.name in here() else ""
        return context.window_manager.invoke_confirm(
            self, event, title=f"Remove {self.name}?", message=f"{size} are freed.", confirm_text="Remove"
        )

    def execute(self, context):
        return self.start("remove", self.name)


class IMAGE_TO_MESH_OT_cancel_weights(bpy.types.Operator):
    bl_idname = "image_to_mesh.cancel_weights"
    bl_label = "Cancel"
    bl_description = "Stop; what has been downloaded waits to be continued, nothing else half made stays"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        return is_running()

    def execute(self, context):
        current.cancel()
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_use_weights(bpy.types.Operator):
    bl_idname = "image_to_mesh.use_weights"
    bl_label = "Use Weights"
    bl_description = "Choose these weights for this scene"
    bl_options = {"INTERNAL", "UNDO"}

    name: bpy.props.StringProperty(name="Name", default="starter", options={"SKIP_SAVE"})

    def execute(self, context):
        context.scene.image_to_mesh.weights = self.name
        return {"FINISHED"}


def size_of(count: int | None) -> str:
    """Bytes in words."""
    return "" if count is None else f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _end() -> None:
    """Blender quits or the extension is disabled: a command does not outlive it."""
    if is_running():
        current.cancel()
        current.wait(PATIENCE)
        current.kill()


_CLASSES = (
    IMAGE_TO_MESH_OT_fetch_weights,
    IMAGE_TO_MESH_OT_add_weights,
    IMAGE_TO_MESH_OT_remove_weights,
    IMAGE_TO_MESH_OT_cancel_weights,
    IMAGE_TO_MESH_OT_use_weights,
)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)
    atexit.register(_end)


def unregister() -> None:
    global current, _installed
    atexit.unregister(_end)
    _end()
    errand.forget()
    current = _installed = None
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
