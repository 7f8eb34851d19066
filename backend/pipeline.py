"""The story in one screen: a picture becomes views, a field, a mesh and a textured object in a job's folder."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from kornia.feature.loftr import LoFTR
from PIL import Image

from . import camera, meshing, surface, text_to_image, texturing
from .device import choose, precision
from .elevation_estimation import epipolar, loftr, reference, sift
from .elevation_estimation.matches import Matches
from .errors import ErrorCode, UserError
from .io import export
from .io.image import load_picture
from .io.job_folder import keep, kept, partial, write_sheet
from .options import Options
from .preprocessing import foreground
from .progress import ProgressListener, ProgressTracker
from .types import Cutout, Elevation, Field, SurfaceModel, Views
from .version import VERSION
from .views.plan import ViewPlan
from .views.zero123.model import Zero123
from .weights.resolve import resolve_components

GENERATE = {"picture": 1, "load": 6, "views": 60, "surface": 6, "mesh": 8, "texture": 12, "export": 7}
IMAGINE = {"text": 60, **GENERATE}
REWORK = {"load": 1, "mesh": 8, "texture": 12, "export": 7}
"""Each stage's usual share of the time."""


class Pipeline:
    """The networks, kept loaded from job to job, and the three things that can be done with them.

    All return ``{"folder", "files", "report"}`` and raise UserError; nothing half-written is left in either case.
    """

    def __init__(self):
        self._loaded: tuple[Path, Path, torch.device] | None = None
        self._view_model: Zero123 | None = None
        self._loftr: tuple[Path, LoFTR] | None = None
        self._surface: SurfaceModel | None = None

    def generate(
        self, path: Path, folder: Path, options: Options, listener: ProgressListener, is_cancelled: Callable[[], bool]
    ) -> dict:
        """A picture file -> a textured mesh in ``folder``."""
        job = ProgressTracker(GENERATE, listener, is_cancelled)
        with partial(folder) as place:
            return self._generate(path, place, folder, job, options, {})

    def imagine(
        self, text: str, folder: Path, options: Options, listener: ProgressListener, is_cancelled: Callable[[], bool]
    ) -> dict:
        """Words -> ``picture.png`` and a textured mesh of what it shows, in ``folder``."""
        if not text.strip():
            raise UserError(ErrorCode.BAD_OPTION, "There are no words to make something of: say what it shall be.")
        job = ProgressTracker(IMAGINE, listener, is_cancelled)
        with partial(folder) as place:
            with job.stage("text", f"Painting “{textwrap.shorten(text, 40, placeholder=' …')}”"):
                model = text_to_image.locate_model(options.text_model)
                self._loaded = self._view_model = self._surface = self._loftr = None  # a card may hold only one model
                path = place / "picture.png"
                image = text_to_image.generate_image(
                    model, text, options.seed, choose(options.device), _rating, job.update
                )
                image.save(path)
                job.update(1.0, path)
            return self._generate(path, place, folder, job, options, {"text": text, "text_model": model.name})

    def _generate(
        self, path: Path, place: Path, folder: Path, job: ProgressTracker, options: Options, about: dict
    ) -> dict:
        with job.stage("picture", "Reading the picture"):
            image = load_picture(path)
            image = foreground.shrink_to_reference_size(image) if options.faithful else image
            cutout = foreground.cut_out(image)
        with job.stage("load", "Loading the networks"):
            device = choose(options.device)
            self._load(*resolve_components(options.weights), device)
        with job.stage("views", "Looking at the object from all sides"):
            views, height = self._see(cutout, options, job)
            if not np.isfinite(views.images).all():
                raise UserError(
                    ErrorCode.BROKEN_VIEWS,
                    "The view weights draw no pictures, only undefined numbers: install them again.",
                )
        write_sheet(place / "views.png", views)
        with job.stage("surface", "Finding the surface"):
            job.update(0.0, place / "views.png")
            field = self._surface.reconstruct(views, silhouette_constraint=not options.faithful)
        keep(place, field, views, cutout)
        report = about | {
            "version": VERSION,
            "picture": path.name,
            "device": device.type,
            "foreground": cutout.method,
            "elevation": asdict(height),
            "matcher": _matcher() if height.source == "matched" else None,
            "camera": _camera(views, cutout, *image.shape[:2]),
            "views": len(views.names),
        }
        return self._finish(place, folder, job, field, views, cutout, options, report)

    def rework(
        self, folder: Path, options: Options, listener: ProgressListener, is_cancelled: Callable[[], bool]
    ) -> dict:
        """A new face budget or texture size from what an earlier job left in ``folder``, whose files are replaced."""
        job = ProgressTracker(REWORK, listener, is_cancelled)
        with partial(folder) as place:
            with job.stage("load", "Loading the earlier result"):
                device = choose(options.device)
                field, views, cutout, report = kept(folder, device)
                earlier = Options.from_dict(report["options"])
                options = replace(earlier, faces=options.faces, texture_size=options.texture_size)
            return self._finish(place, folder, job, field, views, cutout, options, report)

    def _load(self, view: Path, field: Path, device: torch.device) -> None:
        if self._loaded != (view, field, device):
            self._loaded = self._view_model = self._surface = None
            self._view_model = Zero123.load(view, device, precision(device))
            self._surface = surface.load(field, device)
            self._loaded = (view, field, device)

    def _see(self, cutout: Cutout, options: Options, job: ProgressTracker) -> tuple[Views, Elevation]:
        """The views around the object; how high the camera stood decides where the second ring lies."""
        quality = options.quality(self._view_model.device.type)
        if self._surface.required_views:
            quality = replace(quality, views=self._surface.required_views)
        if self._view_model.uses_source_elevation and options.elevation is None:
            raise UserError(
                ErrorCode.NEEDS_ELEVATION,
                "These weights (Stable Zero123) must be told how high the camera stood: set the elevation, 0 is level.",
            )
        polar = 90 - (options.elevation or 0.0)
        plan = ViewPlan(self._view_model, cutout, quality, options.seed, job.update, polar)
        plan.add_ring(camera.FIRST_RING)
        if options.elevation is not None:
            height = Elevation(options.elevation, 1.0, "given")
        else:
            # Small painted views match badly (docs/decisions.md): a model that predicts elevations needs no neighbors.
            predicted = self._view_model.predict_elevation(plan.image("input"))
            matches = None
            if quality.faithful or predicted is None:
                matches = self._match(plan.add_neighbors(["0"]), quality.faithful)
            if quality.faithful:
                height = reference.estimate_elevation(matches)
            else:
                height = epipolar.estimate_elevation(matches, predicted)
        plan.add_ring(camera.second_ring(90 - height.degrees))
        if quality.views == 40:
            plan.add_neighbors(plan.stage_1)
        return plan.posed(height, quality.views), height

    def _match(self, neighbors: np.ndarray, faithful: bool) -> Matches:
        """Matches by LoFTR where its weights are on disk, else by SIFT."""
        path = loftr.find_weights()
        if path is None:
            return sift.match_images(neighbors)
        if self._loftr is None or self._loftr[0] != path:
            self._loftr = path, loftr.load_network(path, self._view_model.device)
        return loftr.match_images(self._loftr[1], neighbors, faithful)

    def _finish(
        self,
        place: Path,
        folder: Path,
        job: ProgressTracker,
        field: Field,
        views: Views,
        cutout: Cutout,
        options: Options,
        report: dict,
    ) -> dict:
        """Field -> files, the part that generate and rework share."""
        with job.stage("mesh", "Building the mesh"):
            resolution = options.quality(report["device"]).resolution
            grid = field.grid_to_world if options.faithful else None
            shape = meshing.extract(field, resolution, options.faces, job.update, grid)
        with job.stage("texture", "Painting the texture"):
            seen = (None, None) if options.faithful else (views, cutout)
            textured = texturing.bake(shape, field, *seen, options.texture_size, job.update)
        with job.stage("export", "Writing the files"):
            report |= {"options": options.to_dict(), "mesh": meshing.measure(shape), "seconds": job.seconds}
            files = export.write_result(place, textured, report)
        return {"folder": str(folder), "files": files, "report": report}


def _rating(drawn: Image.Image) -> int:
    """How much of one object a drawn picture shows: 2 all of it, 1 some, 0 none."""
    image = np.dstack([np.asarray(drawn.convert("RGB"), np.float32) / 255, np.ones(drawn.size[::-1], np.float32)])
    try:
        return 1 + text_to_image.shows_whole_object(foreground.cut_out(image), *image.shape[:2])
    except UserError:
        return 0


def _matcher() -> str:
    return "SIFT" if loftr.find_weights() is None else "LoFTR"


def _camera(views: Views, cutout: Cutout, height: int, width: int) -> dict:
    """The picture's own camera, for placing a matching one in a scene."""
    return {
        "camera_to_world": views.camera_to_world[0].tolist(),
        "focal": camera.FOCAL,
        "canvas": list(cutout.canvas),
        "width": width,
        "height": height,
    }
