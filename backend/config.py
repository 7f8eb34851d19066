"""Options -> one frozen configuration that every stage reads. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .options import QUALITY_PRESETS, REFERENCE_PRESET, Options

JOINT_NUM_INFERENCE_STEPS = 4
"""Scheduler steps of a model that samples all views together: more of them make nothing better."""
ROUGHNESS = 0.8
"""Of the material, 0..1; the image does not tell it."""


class Scheduler(StrEnum):
    """How the view model's noise is removed."""

    DPM_SOLVER = "dpm_solver++"
    """DPM-Solver++ 2M (arXiv 2211.01095), deterministic."""
    DDIM = "ddim"
    """DDIM with eta 1, in the step list of the reference's code."""


class ElevationMethod(StrEnum):
    """How the input camera's elevation is estimated where it is not given."""

    PREDICTED = "predicted"
    """By the view model, if it can; else by the epipolar geometry of matches between neighboring views."""
    REFERENCE = "reference"
    """As One-2-3-45 does: a coarse-to-fine search for the least reprojection error."""


class TextureSource(StrEnum):
    """Where the texture's colors come from."""

    VIEWS = "views"
    """The input image, then generated views, then the field."""
    FIELD = "field"
    """The field alone."""


@dataclass(frozen=True)
class ReconstructionConfig:
    """Every decision about one job, resolved once: no stage asks what the user chose, or on which device it runs."""

    device: str
    """``cpu``, ``cuda`` or ``mps``."""
    low_memory: bool
    """Whether large networks are on a GPU only while they are needed."""
    seed: int
    """Each view derives its own seed from it."""
    cutout: str
    """How the object is cut out of the input image, as in ``Options``."""
    limit_input_size: bool
    """Whether the input image is reduced to the reference's 512 pixels a side."""
    num_inference_steps: int
    """Scheduler steps of a stage-1 view; a stage-2 view takes two thirds of them."""
    guidance_scale: float
    """Scale of the classifier-free guidance; 1 turns it off."""
    joint_num_inference_steps: int
    """Scheduler steps of a model that samples all views together, which needs fewer."""
    joint_num_samples: int
    """How often such a model samples them, from the image and from its mirror image each time."""
    joint_guidance_scale: float | None
    """The same for such a model; None: what its weights were trained for."""
    num_views: int
    """Views that are sampled on their own: 8 (stage 1 only) or 40 (with every view's four neighbors)."""
    scheduler: Scheduler
    quantize_views: bool
    """Whether generated views are cut off to 8 bits before anything uses them."""
    elevation: float | None
    """Degrees of the input camera above the object's horizon; None: estimated."""
    elevation_method: ElevationMethod
    silhouette_constraint: bool
    """Whether the field is corrected where it contradicts the input image's silhouette."""
    resolution: int
    """Cells along a side of the grid from which the mesh is extracted."""
    reference_grid: bool
    """Whether every point of the surface network's own grid is queried and the mesh not smoothed."""
    close_handles: bool
    """Whether narrow holes through the object are filled."""
    faces: int
    """Triangles of the mesh."""
    texture_source: TextureSource
    texture_size: int
    """Width and height of the texture in pixels."""


def resolve_options(options: Options, device: str) -> ReconstructionConfig:
    """The configuration of a job with ``options`` on ``device``, which is there: ``cpu``, ``cuda`` or ``mps``."""
    reference = options.reference_mode
    quality = options.quality if options.quality != "auto" else ("fast" if device == "cpu" else "standard")
    preset = REFERENCE_PRESET if reference else QUALITY_PRESETS[quality]
    return ReconstructionConfig(
        device=device,
        low_memory=options.low_memory,
        seed=options.seed,
        cutout=options.cutout,
        limit_input_size=reference,
        num_inference_steps=preset.num_inference_steps,
        guidance_scale=preset.guidance_scale,
        joint_num_inference_steps=JOINT_NUM_INFERENCE_STEPS,
        joint_num_samples=preset.joint_num_samples,
        joint_guidance_scale=None,
        num_views=preset.num_views,
        scheduler=Scheduler.DDIM if reference else Scheduler.DPM_SOLVER,
        quantize_views=reference,
        elevation=options.elevation,
        elevation_method=ElevationMethod.REFERENCE if reference else ElevationMethod.PREDICTED,
        silhouette_constraint=not reference,
        resolution=preset.resolution,
        reference_grid=reference,
        close_handles=options.close_handles and not reference,
        faces=options.faces,
        texture_source=TextureSource.FIELD if reference else TextureSource.VIEWS,
        texture_size=options.texture_size,
    )
