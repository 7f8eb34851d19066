"""The Python interface: an image -> a textured mesh in five lines.

>>> from backend import ImageToMesh
>>> pipeline = ImageToMesh.from_pretrained("starter")
>>> result = pipeline("examples/mug.png", num_inference_steps=4, generator=0)
>>> result.mesh.faces.shape
(20000, 3)
>>> result.save("mug.glb")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image

from .config import resolve_options
from .data_types import Views
from .device import choose_device
from .errors import ErrorCode, UserError
from .io.export import to_glb, to_trimesh
from .io.image import load_image, load_mask
from .io.outputs import MESH, reserve_outputs, resolve_output, write_together
from .options import Options
from .pipeline import RECONSTRUCT, Pipeline, Reconstruction
from .progress import ProgressListener, ProgressTracker, ignore_progress

ImageSource = Path | str | Image.Image | np.ndarray
"""A file, a Pillow image, or an array."""


class ImageToMesh:
    """Reconstructs textured meshes from single images, with networks that stay loaded from call to call."""

    def __init__(self, weights: str, device: torch.device, low_memory: bool):
        """Use ``from_pretrained``."""
        self.device = device
        self.low_memory = low_memory
        self._weights = weights
        self._pipeline = Pipeline()
        self._pipeline.load(weights, device, low_memory)

    @classmethod
    def from_pretrained(
        cls, weights: str | Path = "starter", device: str | torch.device = "auto", low_memory: bool = False
    ) -> ImageToMesh:
        """Load ``weights``: ``starter`` (bundled), the name of installed ones, or a folder.

        ``device``: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``mps``. ``low_memory``: large networks are
        on a CUDA GPU only while they are needed, and fewer views are generated at once. Raises UserError.
        """
        chosen = choose_device(torch.device(device).type if device != "auto" else "auto")
        return cls(str(weights), chosen, low_memory)

    def __call__(
        self,
        image: ImageSource,
        *,
        views: Mapping[str, ImageSource] | None = None,
        mask: ImageSource | None = None,
        cutout: str = "auto",
        quality: str = "auto",
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        elevation: float | None = None,
        faces: int = 20_000,
        texture_size: int = 1024,
        reference_mode: bool = False,
        generator: torch.Generator | int | None = None,
        listener: ProgressListener = ignore_progress,
    ) -> ImageToMeshOutput:
        """The textured mesh of the object in ``image``, and what it was made from.

        image: a file, a Pillow image, or an array (H, W, 3 or 4) of uint8 or of floats 0..1. A useful alpha channel
        marks the object, else its outline is estimated.
        views: further images of the same object, by the side they show it from: ``right``, ``back``, ``left``, ``top``,
        or degrees around it and above its horizon, such as ``"135"`` or ``"135,20"``.
        mask: an image of the same proportions, white on the object and black around it, or transparent around it.
        cutout: how the object is cut out without a mask: ``auto``, ``alpha``, ``model`` or ``grabcut``.
        num_inference_steps, guidance_scale: of the view model's sampler; None: what ``quality`` (``fast``,
        ``standard``, ``high``; ``auto`` depends on the device) means.
        elevation: degrees of the camera above the object's horizon, -30..75; None: estimated.
        faces, texture_size: triangles of the mesh and side of the texture in pixels.
        reference_mode: compute exactly what One-2-3-45 (arXiv 2306.16928) computes.
        generator: a seed, or a generator, of which the initial seed is used: the same one gives the same mesh.
        listener: receives a ``ProgressEvent`` after every step; may raise ``Cancelled``.
        Raises UserError.
        """
        options = Options(
            weights=self._weights,
            cutout=cutout,
            quality=quality,
            elevation=elevation,
            seed=0,
            faces=faces,
            texture_size=texture_size,
            reference_mode=reference_mode,
            low_memory=self.low_memory,
        )
        config = resolve_options(options, self.device.type)
        if num_inference_steps is not None:
            if not isinstance(num_inference_steps, int) or not 1 <= num_inference_steps <= 1000:
                raise UserError(
                    ErrorCode.BAD_OPTION,
                    f"num_inference_steps must be a whole number from 1 to 1000, but is {num_inference_steps!r}.",
                )
            config = replace(
                config, num_inference_steps=num_inference_steps, joint_num_inference_steps=num_inference_steps
            )
        if guidance_scale is not None:
            scale = float(guidance_scale)
            config = replace(config, guidance_scale=scale, joint_guidance_scale=scale)
        if generator is not None:
            seed = generator.initial_seed() if isinstance(generator, torch.Generator) else int(generator)
            config = replace(config, seed=seed)
        tracker = ProgressTracker(RECONSTRUCT, listener)
        given = {side: load_image(other) for side, other in (views or {}).items()}
        drawn_mask = load_mask(mask) if mask is not None else None
        return ImageToMeshOutput(
            self._pipeline.reconstruct(load_image(image), self._weights, config, tracker, given=given, mask=drawn_mask)
        )


class ImageToMeshOutput:
    """A textured mesh and what it was made from."""

    def __init__(self, reconstruction: Reconstruction):
        self._reconstruction = reconstruction

    @cached_property
    def mesh(self) -> trimesh.Trimesh:
        """The mesh with UVs and a PBR material, as it is saved: Y up, longest side about 1, vertices doubled at seams.

        As a surface it is closed and manifold: merge the doubled vertices (``merge_vertices(merge_tex=True,
        merge_norm=True)``) where that matters.
        """
        return to_trimesh(self._reconstruction.textured)

    @property
    def texture(self) -> Image.Image:
        """The texture, RGB."""
        return Image.fromarray(self._reconstruction.textured.texture)

    @property
    def views(self) -> Views:
        """The input image and the generated views, with masks and cameras."""
        return self._reconstruction.views

    @property
    def report(self) -> dict:
        """How the mesh was made and what was measured, as plain values: elevation, seconds of each stage, volume..."""
        return self._reconstruction.report

    def save(self, path: Path | str, overwrite: bool = False) -> None:
        """Write a binary glTF file; it is complete or not there.

        A file of that name that another program wrote is replaced only with ``overwrite``. Raises UserError (those of
        ``reserve_outputs``) and OSError.
        """
        target = resolve_output(Path(path))
        content = to_glb(self._reconstruction.textured)
        with reserve_outputs({target: MESH}, len(content), overwrite):
            write_together({target: content})
