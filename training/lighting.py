"""Other light in inputs: two to four lamps of different colors and strengths, soft shadows, dark creases.

Scenes are rendered in one light: a lamp, a sky and ambient light, which leaves no part dark. The views to generate stay
in it, since textures are blended from them as they are. An input in other light has its brightest lamp on the same
side, the same mean brightness and no cast, so that its views can be told from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from backend.camera import RADIUS
from procedural.shading import shade
from procedural.triton_depth import BEYOND
from procedural.triton_depth import depths as procedural_depths
from procedural.triton_renderer import Scenes
from training.cameras import camera_matrices
from training.mesh_rasterizer import MeshBatch, render_depths, render_meshes
from training.shadows import creases, foot_shade, lit_share, world_points

MOST_LAMPS = 4
WARMTH = 0.3, 0.05, -0.35
"""Logarithms of a warm lamp's color; the negative is a cold one's."""
UNLIT = 0.0, 0.0, 1.0, 1.0
"""The light in which a scene shows its own colors: ambient only."""


@dataclass(frozen=True)
class Lighting:
    """The light in N pictures, of L lamps each."""

    lamps: torch.Tensor
    """(N, L, 4, 4) cameras that look at the origin from where the light comes."""
    colors: torch.Tensor
    """(N, L, 3) of the lamps."""
    softness: torch.Tensor
    """(N, L) of their shadows' edges (``shadows.lit_share``)."""
    ambient: torch.Tensor
    """(N, 3) color of the ambient light."""
    crease_shade: torch.Tensor
    """(N,) how much of the ambient light does not reach creases, 0..1."""
    foot_shade: torch.Tensor
    """(N,) how much of it does not reach an object's foot, 0..1."""


def sample_lighting(lights: torch.Tensor, rng: np.random.Generator) -> Lighting:
    """Random light for scenes whose canonical lights are (N, 4): the first lamp, which is the brightest, shines from
    about where theirs does."""
    count, lamps = len(lights), int(rng.integers(2, MOST_LAMPS + 1))
    x, y, z, _ = lights.cpu().numpy().astype(np.float64).T
    key = np.degrees(np.arcsin(z.clip(-1, 1))), np.degrees(np.arctan2(x, -y))
    elevation, azimuth = rng.uniform(-15, 80, (count, lamps)), rng.uniform(0, 360, (count, lamps))
    elevation[:, 0], azimuth[:, 0] = (angle + rng.normal(0, 10, count) for angle in key)
    share = rng.uniform(0.1, 0.7, (count, lamps))
    share[:, 0] = 1
    strength = share * rng.uniform(0.5, 1.3, (count, 1))
    warmth = rng.uniform(-1, 1, (count, lamps, 1)) * WARMTH
    values = (
        camera_matrices(elevation.clip(-85, 85), azimuth),
        strength[..., None] * np.exp(warmth),
        np.exp(rng.uniform(np.log(0.004), np.log(0.05), (count, lamps))),
        rng.uniform(0.2, 0.7, (count, 1)) * np.exp(rng.uniform(-0.15, 0.15, (count, 3))),
        rng.uniform(0, 0.8, count),
        rng.uniform(0, 0.7, count) * (rng.random(count) < 0.5),
    )
    return Lighting(*(torch.from_numpy(value.astype(np.float32)).to(lights.device) for value in values))


def relight(
    pictures: torch.Tensor, scenes: MeshBatch | Scenes, cameras: torch.Tensor, share: float, rng: np.random.Generator
) -> torch.Tensor:
    """Pictures (N, S, S, 4) uint8 of N meshes or procedural scenes by cameras (N, 4, 4), which see the latter from the
    usual distance -> the same, ``share`` of them in other light."""
    rows = torch.from_numpy(np.flatnonzero(rng.random(len(pictures)) < share)).to(pictures.device)
    if not len(rows):
        return pictures
    chosen, lit = scenes[rows], pictures.clone()
    light = _light_meshes if isinstance(chosen, MeshBatch) else _light_procedural
    lit[rows] = light(pictures[rows], chosen, cameras[rows], rng)
    return lit


def _light_meshes(
    pictures: torch.Tensor, meshes: MeshBatch, cameras: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    size = pictures.shape[1]

    def colors(lights: torch.Tensor) -> torch.Tensor:
        return _object_colors(render_meshes(dataclasses.replace(meshes, lights=lights), cameras[:, None], size)[:, 0])

    def depths(cameras: torch.Tensor) -> torch.Tensor:
        return render_depths(meshes.triangles, meshes.counts, cameras[:, None], size)[:, 0]

    return light_pictures(pictures, depths(cameras), cameras, sample_lighting(meshes.lights, rng), colors, depths)


def _light_procedural(
    pictures: torch.Tensor, scenes: Scenes, cameras: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    size = pictures.shape[1]

    def depths(cameras: torch.Tensor) -> torch.Tensor:
        entry = procedural_depths(scenes, cameras[:, None], size, 1.0)[:, 0, ..., 0].float()
        return torch.where(entry < BEYOND, entry + RADIUS, torch.inf)

    # Rendering again for every lamp would take several times as long as this.
    seen = depths(cameras)
    shown = seen.isfinite()
    normals = scenes.normals(world_points(seen.nan_to_num(posinf=RADIUS), cameras).flatten(1, 2))

    def shades(lights: torch.Tensor) -> torch.Tensor:
        return _spread(shade(normals, lights).view_as(seen), shown)

    unlit = _object_colors(pictures) / shades(scenes.light)
    lighting = sample_lighting(scenes.light, rng)
    return light_pictures(pictures, seen, cameras, lighting, lambda lights: unlit * shades(lights), depths)


def light_pictures(
    pictures: torch.Tensor,
    seen: torch.Tensor,
    cameras: torch.Tensor,
    lighting: Lighting,
    colors: Callable[[torch.Tensor], torch.Tensor],
    depths: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Pictures (N, S, S, 4) uint8, color on white and coverage, in other light but about as bright as they were.

    ``seen`` (N, S, S) are the depths that they show and ``cameras`` (N, 4, 4) their cameras. ``colors`` maps lights
    (N, 4) to the object's colors in them times coverage (N, S, S, 3), ``depths`` cameras (N, 4, 4) to what they see
    (N, S, S). Depths are infinite where nothing is.
    """
    shown = seen.isfinite()
    points = world_points(seen.nan_to_num(posinf=RADIUS), cameras)
    total = torch.zeros_like(pictures[..., :3], dtype=torch.float32)
    light = total.new_zeros(len(total), 3)

    def add(lights: torch.Tensor, reached: torch.Tensor, color: torch.Tensor) -> None:
        part = colors(lights) * _spread(reached, shown)
        total.add_(part * color[:, None, None])
        light.add_(part.mean((1, 2, 3))[:, None] * color)

    ambient = 1 - lighting.crease_shade.view(-1, 1, 1) * creases(seen)
    ambient = ambient * (1 - lighting.foot_shade.view(-1, 1, 1) * foot_shade(points, shown))
    add(total.new_tensor(UNLIT).expand(len(total), -1), ambient, lighting.ambient)
    for number in range(lighting.lamps.shape[1]):
        lamps = lighting.lamps[:, number]
        only = torch.cat([lamps[:, :3, 2], torch.zeros_like(lamps[:, 0, :1])], 1)
        reached = lit_share(points, depths(lamps), lamps, lighting.softness[:, number])
        add(only, reached, lighting.colors[:, number])
    # A gray object keeps its mean color, as it would in a camera with white balance.
    gain = _object_colors(pictures).mean((1, 2, 3))[:, None] / light.clamp_min(1e-4)
    alpha = pictures[..., 3:].float() / 255
    color = torch.minimum(total * gain[:, None, None], alpha) + 1 - alpha
    return (torch.cat([color, alpha], -1) * 255 + 0.5).byte()


def _object_colors(pictures: torch.Tensor) -> torch.Tensor:
    """Colors (N, S, S, 3) in 0..1 times coverage of pictures (N, S, S, 4) uint8 on white."""
    return ((pictures[..., :3].float() + pictures[..., 3:].float() - 255) / 255).clamp_min(0)


def _spread(values: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    """Values (N, S, S) of pixels whose centers show an object, and for those beside them their mean: (N, S, S, 1)."""
    sums, weights = (F.avg_pool2d(x, 3, 1, 1) for x in (values * shown, shown.float()))
    return torch.where(shown | (weights == 0), values, sums / weights.clamp_min(1e-6))[..., None]
