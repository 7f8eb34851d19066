"""The pixels of an image that is no file, written to one in a thread: 4096 x 4096 pixels take seconds."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import bpy

from ..backend.errors import ErrorCode, UserError
from . import image_input
from .background_task import BackgroundTask
from .image_pixels import encode_pixels, read_pixels
from .reporting import log_unexpected
from .tasks import task_manager

_SMALL = 1 << 20
"""Pixels that are converted in a few hundredths of a second: at once."""


def needs_conversion(image: bpy.types.Image) -> bool:
    """Whether the image has to be written to a file first, and that takes a while."""
    width, height = image.size
    return width * height > _SMALL and not image_input.is_file(image)


class ImageConversion(BackgroundTask):
    """The step before a reconstruction. Only the copy of the pixels is made in Blender's main thread."""

    label = "Image to Mesh"

    def __init__(
        self,
        context: bpy.types.Context,
        image: bpy.types.Image,
        go_on: Callable[[bpy.types.Context, Path], BackgroundTask],
    ):
        """``go_on`` makes the next task, for this ``context``'s scene; it may move the file that it gets, and raise
        UserError and OSError."""
        super().__init__()
        self._scene_uid = context.scene.session_uid
        self._window = context.window.as_pointer()
        self.subject, self.text = image_input.object_name(image), "Reading the image's pixels"
        self._pixels = read_pixels(image)
        self._folder = Path(tempfile.mkdtemp(prefix="image-to-mesh-"))
        self._go_on = go_on
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, manager) -> None:
        self._thread.start()

    def poll(self) -> None:
        if self._thread.is_alive():
            return
        self.finished = True
        if self._failure is not None:
            self.error = log_unexpected(self._failure)
        elif self.cancelling:
            self.error = UserError(ErrorCode.CANCELLED, "Cancelled.")

    def deliver(self) -> None:
        scene = next((scene for scene in bpy.data.scenes if scene.session_uid == self._scene_uid), None)
        if scene is None:
            raise UserError(ErrorCode.BAD_IMAGE, "Another file was opened before the image was read: start again.")
        windows = bpy.context.window_manager.windows
        window = next((window for window in windows if window.as_pointer() == self._window), windows[0])
        with bpy.context.temp_override(window=window, scene=scene):
            task = self._go_on(bpy.context, self._path)
        task.started_by = self.started_by
        task_manager().start(task)

    def clean_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _path(self) -> Path:
        return self._folder / "image.png"

    def _run(self) -> None:
        try:
            self._path.write_bytes(encode_pixels(self._pixels))
        except Exception as error:
            self._failure = error
