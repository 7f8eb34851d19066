"""The order of the stages: an image becomes views, a field, a mesh and a textured mesh in a job's folder."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image

from . import meshing, surface, text_to_image, texturing
from .camera import GENERATED_VIEWS
from .config import ReconstructionConfig, TextureSource, resolve_options
from .data_types import Cutout, Elevation, Field, GivenView, Mesh, OnViews, SurfaceModel, TexturedMesh, ViewModel, Views
from .device import choose_device, choose_dtype
from .elevation_estimation.estimator import ElevationEstimation
from .errors import ErrorCode, UserError, printable
from .io import export
from .io.atomic_folder import atomic_folder
from .io.image import load_image, load_mask
from .io.job_folder import FIELD_FILE, damaged_state, load_state, save_state
from .io.outputs import GENERATED_IMAGE, png_mark
from .job_report import collect_warnings, describe_input
from .options import Options
from .preprocessing.canvas import shrink_to_reference_size
from .preprocessing.foreground import cut_out
from .preprocessing.parts import choose_parts
from .progress import OnProgress, ProgressListener, ProgressTracker, ignore_progress
from .rendering.silhouette import silhouette_recall
from .rendering.turntable import turntable
from .version import VERSION
from .view_sheets import ViewSheets
from .views.changes import parse_changes
from .views.given import parse_side
from .views.loading import load_view_model
from .weights.resolve import resolve_components

RECONSTRUCT = {"picture": 1, "load": 6, "views": 60, "surface": 6, "mesh": 8, "texture": 12}
GENERATE = {**RECONSTRUCT, "export": 7}
TEXT_TO_MESH = {"text": 60, **GENERATE}
REBUILD = {"load": 6, "views": 30, "surface": 6, "mesh": 8, "texture": 12, "export": 7}
REMESH = {"load": 1, "mesh": 8, "texture": 12, "export": 7}
"""Each stage's usual share of the time."""
PREVIEW_TILE = 320
"""Pixels along a side of each of the preview's eight images."""

THUMBNAIL = (128, 128)
"""Pixels of the thumbnail: the preview's image from the front, the side and above."""


@dataclass(frozen=True)
class Reconstruction:
    """All that one image became."""

    cutout: Cutout
    views: Views
    field: Field
    textured: TexturedMesh
    report: dict
    """Plain values: how it was made, and measurements of the mesh."""


@dataclass(frozen=True)
class Networks:
    """The networks of one set of weights, and where they come from."""

    source: tuple[Path, Path, torch.device, bool]
    views: ViewModel
    surface: SurfaceModel


class Pipeline:
    """The networks, which stay loaded from job to job, and the jobs that they do.

    ``generate``, ``text_to_mesh``, ``rebuild`` and ``remesh`` return ``{"folder", "files", "report"}``; their
    ``listener`` receives a ``ProgressEvent`` after every step and may raise ``Cancelled``; with ``show_views``, some of
    these have image files of the views that are being sampled. They raise UserError and what the listener raises; in
    either case no file of an unfinished job is left.
    """

    def __init__(self):
        self._networks: Networks | None = None
        self._estimate_elevation = ElevationEstimation()

    def generate(
        self,
        image: Path,
        folder: Path,
        options: Options,
        listener: ProgressListener,
        views: Mapping[str, Path] = MappingProxyType({}),
        mask: Path | None = None,
        show_views: bool = False,
    ) -> dict:
        """An image file, and ``views`` of the same object by the side they show it from (``views.given.parse_side``) ->
        a textured mesh in ``folder``. ``mask`` shows where in the image the object is (``load_mask``)."""
        tracker = ProgressTracker(GENERATE, listener)
        with atomic_folder(folder) as target:
            files, report = self._generate(image, target, options, tracker, {}, views, mask, show_views)
        return {"folder": str(folder), "files": files, "report": report}

    def text_to_mesh(
        self, prompt: str, folder: Path, options: Options, listener: ProgressListener, show_views: bool = False
    ) -> dict:
        """A text prompt -> ``picture.png`` and a textured mesh of what it shows, in ``folder``."""
        if not prompt.strip():
            raise UserError(ErrorCode.BAD_OPTION, "The prompt is empty: describe an object.")
        tracker = ProgressTracker(TEXT_TO_MESH, listener)
        with atomic_folder(folder) as target:
            with tracker.stage("text", f"Generating an image of “{textwrap.shorten(prompt, 40, placeholder=' …')}”"):
                model = text_to_image.locate_model(options.text_model)
                self._unload()  # a graphics card may hold only one model
                path = target / "picture.png"
                device = choose_device(options.device)
                image = text_to_image.generate_image(model, prompt, options.seed, device, _rate_image, tracker.update)
                image.save(path, pnginfo=png_mark(GENERATED_IMAGE))
                tracker.update(1.0, path)
            origin = {"text": prompt, "text_model": model.name}
            files, report = self._generate(path, target, options, tracker, origin, show_views=show_views)
        return {"folder": str(folder), "files": files, "report": report}

    def remesh(self, folder: Path, options: Options, listener: ProgressListener) -> dict:
        """Another number of faces or texture size for the result of an earlier job in ``folder``, which is replaced."""
        tracker = ProgressTracker(REMESH, listener)
        with atomic_folder(folder) as target:
            with tracker.stage("load", "Loading the saved result"):
                device = choose_device(options.device)
                tensors, views, cutout, report = load_state(folder)
                try:
                    earlier = Options.from_dict(report["options"])
                except UserError as error:
                    raise damaged_state(folder) from error
                field = surface.field_from_tensors(tensors, folder / FIELD_FILE, device)
                options = replace(earlier, faces=options.faces, texture_size=options.texture_size)
                config = resolve_options(options, report["device"])
            textured, measurements = _extract_and_texture(field, views, cutout, config, tracker)
            report |= {"options": options.to_dict(), "mesh": measurements, "seconds": tracker.seconds}
            report["warnings"] = collect_warnings(report)
            files = _export(target, textured, report, tracker)
        return {"folder": str(folder), "files": files, "report": report}

    def rebuild(
        self,
        source: Path,
        folder: Path,
        options: Options,
        listener: ProgressListener,
        changes: Mapping[str, object],
        show_views: bool = False,
    ) -> dict:
        """The object of an earlier job in the folder ``source`` anew in ``folder``, with ``changes`` to its views
        (``views.changes.parse_changes``) and another elevation, if ``options`` has one. All else is used again."""
        tracker = ProgressTracker(REBUILD, listener)
        with atomic_folder(folder) as target:
            with tracker.stage("load", "Loading the saved result"):
                _, views, cutout, report = load_state(source)
                earlier = report["elevation"]
                config = resolve_options(options, choose_device(options.device).type)
                networks = self.load(options.weights, torch.device(config.device), config.low_memory)
                needed = networks.surface.required_views
                config = replace(config, num_views=needed or config.num_views)
                view_changes = parse_changes(changes, views, needed is not None, _cut_out_file)
            elevation = Elevation(**earlier)
            if options.elevation is not None and not math.isclose(options.elevation, elevation.degrees, abs_tol=1e-3):
                elevation = Elevation(options.elevation, 1.0, "given")
            with tracker.stage("views", "Changing the views"):
                sheets = ViewSheets(target, tracker.show)
                sampled = networks.views.resample_views(
                    views,
                    view_changes,
                    cutout,
                    earlier["degrees"],
                    elevation,
                    config,
                    tracker.update,
                    sheets if show_views else None,
                )
            views = sampled.views
            field, textured, measurements = _reconstruct_views(networks, views, cutout, config, tracker, sheets.finish)
            camera_to_world = views.camera_to_world[0].tolist()
            report |= {
                "version": VERSION,
                "device": config.device,
                "joint_views": networks.views.is_joint,
                "elevation": asdict(elevation),
                "camera": report["camera"] | {"camera_to_world": camera_to_world},
                "views": len(views.names),
                "given": sorted(name for name in views.names[1:] if name not in GENERATED_VIEWS),
                "ran_out_of_memory": sampled.ran_out_of_memory,
                "options": options.to_dict(),
                "mesh": measurements,
                "seconds": tracker.seconds,
            }
            report["warnings"] = collect_warnings(report)
            save = partial(save_state, target, field, views, cutout)
            files = _export(target, textured, report, tracker, save)
        return {"folder": str(folder), "files": files, "report": report}

    def reconstruct(
        self,
        image: np.ndarray,
        weights: str,
        config: ReconstructionConfig,
        tracker: ProgressTracker,
        write_preview: Callable[[Views], Path | None] = lambda views: None,
        given: Mapping[str, np.ndarray] = MappingProxyType({}),
        mask: np.ndarray | None = None,
        on_views: OnViews | None = None,
    ) -> Reconstruction:
        """An image (H, W, 4) of ``load_image`` -> a textured mesh, in memory.

        ``given``: further images of the object, by the side they show it from (``views.given.parse_side``). ``mask`` is
        that of ``load_mask``. ``tracker`` has the stages of ``RECONSTRUCT``. ``write_preview`` receives the views as
        soon as they are finished and returns an image file to show, ``on_views`` before that. Raises UserError and
        ``Cancelled``.
        """
        with tracker.stage("picture", "Cutting out the object"):
            if config.limit_input_size:
                image = shrink_to_reference_size(image)
            cutout = cut_out(image, config.cutout, mask)
            given_views = [GivenView(side, cut_out(other), *parse_side(side)) for side, other in given.items()]
        with tracker.stage("load", "Loading the networks"):
            networks = self.load(weights, torch.device(config.device), config.low_memory)
        config = replace(config, num_views=networks.surface.required_views or config.num_views)
        with tracker.stage("views", "Generating views"):
            estimate = partial(self._estimate_elevation, config)
            sampled = networks.views.sample_views(cutout, given_views, estimate, config, tracker.update, on_views)
        views = sampled.views
        field, textured, measurements = _reconstruct_views(
            networks, views, cutout, config, tracker, write_preview, sampled.others
        )
        report = {
            "version": VERSION,
            "device": config.device,
            "joint_views": networks.views.is_joint,
            **describe_input(cutout, given_views, sampled, *image.shape[:2]),
            "mesh": measurements,
            "seconds": tracker.seconds,
        }
        report["warnings"] = collect_warnings(report)
        return Reconstruction(cutout, views, field, textured, report)

    def load(self, weights: str, device: torch.device, low_memory: bool = False) -> Networks:
        """The networks of ``weights`` (a name or a folder) on ``device``, loaded unless they are. With ``low_memory``,
        large ones are on a CUDA GPU only while they are needed. Raises UserError."""
        low_memory = low_memory and device.type == "cuda"  # all others share the computer's own memory
        source = (*resolve_components(weights), device, low_memory)
        if self._networks is None or self._networks.source != source:
            self._networks = None  # first, so that memory never has to hold both
            view_folder, surface_folder, *_ = source
            view_model = load_view_model(view_folder, device, choose_dtype(device), low_memory)
            self._networks = Networks(source, view_model, surface.load(surface_folder, device))
        return self._networks

    def _unload(self) -> None:
        self._networks = None
        self._estimate_elevation.unload()

    def _generate(
        self,
        path: Path,
        target: Path,
        options: Options,
        tracker: ProgressTracker,
        origin: dict,
        views: Mapping[str, Path] = MappingProxyType({}),
        mask: Path | None = None,
        show_views: bool = False,
    ) -> tuple[dict[str, str], dict]:
        """Reconstruct an image file and write all files of the job into ``target``: their names and the report.

        ``origin``: what the report says first.
        """
        with tracker.stage("picture", "Reading the image"):
            image = load_image(path)
            given = {side: load_image(other) for side, other in views.items()}
            drawn_mask = load_mask(mask) if mask is not None else None
        config = resolve_options(options, choose_device(options.device).type)
        sheets = ViewSheets(target, tracker.show)
        on_views = sheets if show_views else None
        result = self.reconstruct(image, options.weights, config, tracker, sheets.finish, given, drawn_mask, on_views)
        report = {
            **origin,
            "picture": printable(path.name),
            "given": sorted(views),
            **result.report,
            "options": options.to_dict(),
        }
        save = partial(save_state, target, result.field, result.views, result.cutout)
        return _export(target, result.textured, report, tracker, save), report


def _cut_out_file(path: Path) -> Cutout:
    return cut_out(load_image(path))


def _reconstruct_views(
    networks: Networks,
    views: Views,
    cutout: Cutout,
    config: ReconstructionConfig,
    tracker: ProgressTracker,
    write_preview: Callable[[Views], Path | None],
    others: Sequence[Views] = (),
) -> tuple[Field, TexturedMesh, dict]:
    """All that follows the views: the field, the textured mesh, and what was measured on it. Raises UserError."""
    if not all(np.isfinite(those.images).all() for those in (views, *others)):
        raise UserError(
            ErrorCode.BROKEN_VIEWS, "The view model generated NaN or infinite values: install its weights again."
        )
    preview = write_preview(views)
    with tracker.stage("surface", "Reconstructing the surface"):
        tracker.update(0.0, preview)
        field = networks.surface.reconstruct(views, config.silhouette_constraint, others)
    return field, *_extract_and_texture(field, views, cutout, config, tracker)


def _extract_and_texture(
    field: Field, views: Views, cutout: Cutout, config: ReconstructionConfig, tracker: ProgressTracker
) -> tuple[TexturedMesh, dict]:
    """The textured mesh, and what was measured on it."""
    with tracker.stage("mesh", "Extracting the mesh"):
        mesh = extract_mesh(field, views, config, tracker.update)
        measurements = meshing.measure(mesh)
    with tracker.stage("texture", "Baking the texture"):
        from_views = config.texture_source is TextureSource.VIEWS
        textured = texturing.bake(
            mesh,
            field,
            views if from_views else None,
            cutout if from_views else None,
            config.texture_size,
            tracker.update,
        )
        recall = silhouette_recall(mesh, views.masks[0], views.camera_to_world[0])
    return textured, measurements | {"silhouette_recall": recall}


def extract_mesh(
    field: Field, views: Views, config: ReconstructionConfig, on_progress: OnProgress = ignore_progress
) -> Mesh:
    """The mesh of a field that was made of ``views``, of which the first is certain. Raises UserError."""
    mask = views.masks[0]
    return meshing.extract(
        field,
        config.resolution,
        config.faces,
        on_progress,
        field.grid_to_world if config.reference_grid else None,
        config.close_handles,
        choose_parts(mask).count,
        meshing.InputSilhouette(mask, views.camera_to_world[0]),
    )


def _export(
    target: Path,
    textured: TexturedMesh,
    report: dict,
    tracker: ProgressTracker,
    save: Callable[[], None] = lambda: None,
) -> dict[str, str]:
    """Write the result's files and return their names. ``save`` writes what is kept for later, on another thread."""
    with tracker.stage("export", "Writing the files"), ThreadPoolExecutor(2) as writers:
        mesh_files = writers.submit(export.write_mesh, target, textured)  # encoding images leaves Python's lock free
        saving = writers.submit(save)
        preview = turntable(textured, report["elevation"]["degrees"], PREVIEW_TILE)
        Image.fromarray(preview[-PREVIEW_TILE:, :PREVIEW_TILE]).resize(THUMBNAIL).save(target / "thumbnail.png")
        saving.result()
        return mesh_files.result() | export.write_report(target, preview, report)


def _rate_image(generated: Image.Image) -> int:
    """How much of one object a generated image shows: 2 all of it, 1 some, 0 none."""
    image = np.asarray(generated.convert("RGB").convert("RGBA"), np.float32) / 255
    try:
        return 1 + text_to_image.shows_whole_object(cut_out(image), *image.shape[:2])
    except UserError:
        return 0
