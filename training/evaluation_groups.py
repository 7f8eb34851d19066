"""Scenes that no training used, with true views and points on their surfaces, for scores during training.

Three groups: new seeds of the training families, seeds of each held-out family, and the objects set aside in the packs.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.pool import Pool

import numpy as np
import torch

from backend.camera import FOCAL, camera_to_world
from procedural.normalization import bounding_radius, normalize_scene
from procedural.sampling import FAMILIES, HELD_OUT_FAMILIES, sample, sample_pose_and_light
from procedural.schema import IDENTITY_TRANSFORM
from procedural.triton_renderer import from_numpy
from training.cameras import camera_matrices, plan_cameras
from training.field_metrics import SAMPLES, SampledSurface, grid_points, sample_field
from training.mesh_rasterizer import MeshBatch, render_depths, render_meshes
from training.object_library import ObjectLibrary
from training.procedural_scenes import render_scenes

SEEDS, FAMILY_SEEDS, FIRST_SEED = 40, 10, 1_000_000_100


@dataclass
class Group:
    """Scenes with true views."""

    name: str
    plan: str
    """Of ``backend.camera.JOINT_PLANS``: where the views are taken from."""
    images: torch.Tensor
    """(N, V, S, S, 4) uint8, in the order of ``plan_cameras``."""
    angles: torch.Tensor
    """(N, V, 2) in degrees."""
    surfaces: list[SampledSurface]


def procedural_groups(plan: str, size: int, half_side: float, workers: Pool, device: torch.device | str) -> list[Group]:
    """New seeds of the training families, and the held-out families; ``workers`` is a pool of processes."""
    rng = np.random.default_rng(77)
    families = [name for name in FAMILIES if name != "composite"]
    names = [families[number % len(families)] for number in range(SEEDS)]
    seeds = [FIRST_SEED + number for number in range(SEEDS)]
    for family in HELD_OUT_FAMILIES:
        names += [family] * FAMILY_SEEDS
        seeds += [FIRST_SEED + number for number in range(FAMILY_SEEDS)]
    rows = [sample(name, seed) for name, seed in zip(names, seeds, strict=True)]
    poses = [sample_pose_and_light(rng) for _ in names]
    yaw, elevation = (np.array([pose[k] for pose in poses], np.float32) for k in (0, 1))
    whole = np.array(IDENTITY_TRANSFORM, np.float32)
    scenes = from_numpy([(row, whole, pose[2]) for row, pose in zip(rows, poses, strict=True)], device)
    radius = np.array([bounding_radius(row) for row in rows], np.float32)
    object_to_world, valid = normalize_scene(
        scenes.distance, *(torch.from_numpy(v).to(device) for v in (radius, yaw, elevation))
    )
    assert valid.all(), "an evaluation scene is empty"
    scenes.object_to_world = object_to_world.contiguous()
    angles = plan_cameras(elevation, plan)
    cameras = torch.from_numpy(camera_matrices(*angles)).to(device)
    images = render_scenes(scenes, cameras, size)
    grid = grid_points(half_side, device)
    fields = (scenes[number : number + 1].distance(grid)[0].cpu().numpy() for number in range(len(rows)))
    surfaces = workers.starmap(sample_field, [(field, half_side) for field in fields])
    angles = torch.from_numpy(np.stack(angles, -1).astype(np.float32)).to(device)
    groups = (("seeds", slice(0, SEEDS)), ("held-out families", slice(SEEDS, None)))
    return [Group(name, plan, images[rows], angles[rows], surfaces[rows]) for name, rows in groups]


def object_group(library: ObjectLibrary, plan: str, size: int) -> Group:
    """All objects of a library, unchanged."""
    rng = np.random.default_rng(5)
    meshes, elevation = library.scenes(np.arange(len(library)), rng)
    angles = plan_cameras(elevation, plan)
    cameras = torch.from_numpy(camera_matrices(*angles)).to(library.device)
    images = [render_meshes(meshes[k : k + 8], cameras[k : k + 8], size) for k in range(0, len(library), 8)]
    surfaces = [visible_surface(meshes[k : k + 1]) for k in range(len(library))]
    angles = torch.from_numpy(np.stack(angles, -1).astype(np.float32)).to(library.device)
    return Group("real objects", plan, torch.cat(images), angles, surfaces)


def visible_surface(mesh: MeshBatch, size: int = 256) -> SampledSurface:
    """What 34 cameras all around see of one mesh: hidden inner faces do not count."""
    triangles = mesh.triangles[0, : int(mesh.counts[0])]
    edges = triangles[:, 1:] - triangles[:, :1]
    cross = torch.cross(edges[:, 0], edges[:, 1], dim=-1)
    area = cross.norm(dim=-1).clamp_min(1e-12)
    generator = torch.Generator(triangles.device).manual_seed(0)
    chosen = torch.multinomial(area, 2 * SAMPLES, replacement=True, generator=generator)
    u, v = torch.rand(2, 2 * SAMPLES, 1, device=triangles.device, generator=generator)
    u, v = torch.where(u + v > 1, 1 - u, u), torch.where(u + v > 1, 1 - v, v)
    points = triangles[chosen, 0] + u * edges[chosen, 0] + v * edges[chosen, 1]
    elevations = np.repeat([-20.0, 10.0, 45.0, 80.0], [10, 10, 10, 4])
    azimuths = np.concatenate([36.0 * np.arange(30), 90.0 * np.arange(4)])
    cameras = torch.from_numpy(camera_to_world(90 - elevations, azimuths)).to(triangles.device)
    depths = render_depths(mesh.triangles, mesh.counts, cameras[None], size)[0]
    local = (points[None] - cameras[:, None, :3, 3]) @ cameras[:, :3, :3]
    depth = -local[..., 2]
    column = ((0.5 + FOCAL * local[..., 0] / depth) * size).long()
    row = ((0.5 - FOCAL * local[..., 1] / depth) * size).long()
    framed = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    nearest = depths.flatten(1).gather(1, row.clamp(0, size - 1) * size + column.clamp(0, size - 1))
    visible = (framed & (depth < nearest + 0.015)).any(0)
    normals = cross[chosen] / area[chosen, None]
    return SampledSurface(points[visible].cpu().numpy(), normals[visible].cpu().numpy(), None)
