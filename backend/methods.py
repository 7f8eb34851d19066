"""What the backend process can be asked to do: a table of methods, each from checked parameters to a result.

torch and the networks are imported by the first method that needs them, so that the process answers at once.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .allocator import return_freed_memory
from .errors import ErrorCode, UserError
from .options import Options
from .paths import PARTIAL
from .progress import ProgressEvent, ProgressListener
from .weights import registry

if TYPE_CHECKING:
    from .pipeline import Pipeline

LISTEN_EVERY = 0.1
"""Seconds between two chances to cancel a job that waits for the networks."""
COLLECT_AFTER = 1000
"""New objects after which garbage is looked for, once a job has been done. Before that, ``__main__`` has it looked for
less often, but the images of a job must not wait so long."""

_log = logging.getLogger(__name__)


class Methods:
    """The methods by name. The networks stay loaded from call to call.

    Every method takes ``(params, listener)`` and returns values for JSON. It raises UserError, among them
    ``bad_request`` for parameters that are missing or of the wrong type, and what ``listener`` raises.
    """

    def __init__(self):
        self.table: dict[str, Callable[[dict, ProgressListener], dict]] = {
            "cutout": _cut_out,
            "load": self._load,
            "generate": self._generate,
            "text_to_mesh": self._text_to_mesh,
            "rebuild": self._rebuild,
            "remesh": self._remesh,
            "weights.fetch": _fetch_weights,
            "weights.add": _add_weights,
            "weights.remove": _remove_weights,
        }
        self._pipeline: Pipeline | None = None
        self._loading: threading.Thread | None = None
        self._partial: Path | None = None

    def discard_partial(self) -> None:
        """Delete the files of a running job; for a process that ends before the job can do so itself."""
        if self._partial is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
            with contextlib.suppress(OSError):  # the files of an earlier result are there
                self._partial.parent.rmdir()

    def _generate(self, params: dict, listener: ProgressListener) -> dict:
        views = params.get("views", {})
        if not isinstance(views, dict) or not all(isinstance(path, str) for path in views.values()):
            raise _bad_params("views", "an object of image files by side")
        given = {side: _path(views, side) for side in views}
        mask = _path(params, "mask") if params.get("mask") is not None else None
        extra = {"views": given, "mask": mask, "show_views": _flag(params, "show_views")}
        return self._run("generate", params, listener, _path(params, "image"), **extra)

    def _load(self, params: dict, listener: ProgressListener) -> dict:
        """Begin to load the networks, so that a job that comes later finds them in memory. Meanwhile the object can be
        cut out in other ways."""
        options = _options(params)
        if self._loading is None or not self._loading.is_alive():
            self._loading = threading.Thread(target=self._load_networks, args=(options,), name="networks", daemon=True)
            self._loading.start()
        return {}

    def _load_networks(self, options: Options) -> None:
        try:
            pipeline = self._imported_pipeline()
            from .device import choose_device  # imports torch

            pipeline.load(options.weights, choose_device(options.device), options.low_memory)
        except Exception:  # the job that needs them fails in the same way, and says so
            _log.exception("the networks could not be loaded")

    def _wait_for_networks(self, listener: ProgressListener) -> None:
        """Until they are loaded, if that has begun."""
        while self._loading is not None and self._loading.is_alive():
            listener(ProgressEvent("start", 0.0, "Starting"))
            self._loading.join(LISTEN_EVERY)

    def _text_to_mesh(self, params: dict, listener: ProgressListener) -> dict:
        show_views = _flag(params, "show_views")
        return self._run("text_to_mesh", params, listener, _text(params, "prompt"), show_views=show_views)

    def _rebuild(self, params: dict, listener: ProgressListener) -> dict:
        changes = params.get("changes", {})
        if not isinstance(changes, dict):
            raise _bad_params("changes", "an object of changes by the name of a view")
        extra = {"changes": changes, "show_views": _flag(params, "show_views")}
        return self._run("rebuild", params, listener, _path(params, "source"), **extra)

    def _remesh(self, params: dict, listener: ProgressListener) -> dict:
        return self._run("remesh", params, listener)

    def _run(self, name: str, params: dict, listener: ProgressListener, *source: Any, **extra: Any) -> dict:
        """Call one of the pipeline's methods, which all write into a job folder."""
        folder, options = _folder(params), _options(params)
        if self._pipeline is None:
            listener(ProgressEvent("start", 0.0, "Starting"))
        self._wait_for_networks(listener)
        pipeline = self._imported_pipeline()
        self._partial = folder / PARTIAL
        try:
            return getattr(pipeline, name)(*source, folder, options, listener, **extra)
        finally:
            self._partial = None
            gc.set_threshold(COLLECT_AFTER)  # all libraries are imported
            return_freed_memory()

    def _imported_pipeline(self) -> Pipeline:
        if self._pipeline is None:
            from .pipeline import Pipeline  # torch takes seconds to import

            self._pipeline = Pipeline()
        return self._pipeline


def _cut_out(params: dict, listener: ProgressListener) -> dict:
    image, folder, options = _path(params, "image"), _folder(params), _options(params)
    listener(ProgressEvent("cutout", 0.0, "Cutting out the object"))
    from .cutout_preview import write_cutout  # imports OpenCV

    def show(draft: Path) -> None:
        listener(ProgressEvent("cutout", 0.0, "Looking closer", draft))

    return write_cutout(image, folder, options.cutout, show)


def _fetch_weights(params: dict, listener: ProgressListener) -> dict:
    name = _text(params, "name")
    listener(ProgressEvent("find", 0.0, "Starting"))
    from .weights.install import fetch  # imports torch

    return {"folders": [str(folder) for folder in fetch(name, listener)]}


def _add_weights(params: dict, listener: ProgressListener) -> dict:
    path = _path(params, "path")
    name = None if params.get("name") is None else _text(params, "name")
    listener(ProgressEvent("find", 0.0, "Starting"))
    from .weights.install import add  # imports torch

    return {"folder": str(add(path, name, False, listener))}


def _remove_weights(params: dict, listener: ProgressListener) -> dict:
    name = _text(params, "name")
    listener(ProgressEvent("remove", 0.0, f"Removing {name}"))
    return {"bytes": registry.remove(name)}


def _folder(params: dict) -> Path:
    folder = _path(params, "folder")
    if not folder.is_absolute():
        raise _bad_params("folder", "an absolute path")
    return folder


def _options(params: dict) -> Options:
    options = params.get("options", {})
    if not isinstance(options, dict):
        raise _bad_params("options", "an object")
    return Options.from_dict(options)


def _text(params: dict, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise _bad_params(name, "text")
    return value


def _flag(params: dict, name: str) -> bool:
    """False where it is missing."""
    value = params.get(name, False)
    if not isinstance(value, bool):
        raise _bad_params(name, "true or false")
    return value


def _path(params: dict, name: str) -> Path:
    text = _text(params, name)
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        encoded = b""
    if not text.strip() or not encoded or b"\0" in encoded:
        raise _bad_params(name, "a path")
    return Path(text)


def _bad_params(name: str, kind: str) -> UserError:
    return UserError(ErrorCode.BAD_REQUEST, f"The request's parameter “{name}” must be {kind}: correct the request.")
