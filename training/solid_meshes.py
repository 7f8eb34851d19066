"""Triangle meshes as solids: exact signed distances, points on the outer surface, and depth maps.

Real models are made of overlapping parts. What separates inside from outside is decided by the winding number, so that
hidden inner faces are no surface.
"""

from __future__ import annotations

import torch

from backend.camera import RADIUS
from procedural.triton_depth import BEYOND, ENTRY_OFFSET
from training.mesh_distance import nearest_distances, winding_numbers
from training.mesh_rasterizer import MeshBatch, render_depths

INSIDE_WINDING = 0.5
"""Least absolute winding number inside (a mirrored mesh winds the other way)."""
SIDE_OFFSET = 5e-4
"""How far from a triangle its two sides are examined, in world units."""
BARYCENTRIC = ((1 / 3, 1 / 3, 1 / 3), (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))
"""Where on each triangle they are."""
LEAST_BOUNDING = 0.2
"""A triangle is part of the surface if at more than this share of these positions one side is inside, one outside."""


class SolidMeshes:
    """B meshes whose insides are known."""

    def __init__(self, meshes: MeshBatch):
        self.meshes = meshes
        corners = meshes.triangles
        cross = torch.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0], dim=-1)
        self._normals = torch.nn.functional.normalize(cross, dim=-1)
        exists = torch.arange(corners.shape[1], device=corners.device) < meshes.counts[:, None]
        weights = corners.new_tensor(BARYCENTRIC)
        centers = torch.einsum("kc,bfcd->bfkd", weights, corners)
        sides = self._sides(centers.flatten(1, 2), self._normals.repeat_interleave(len(weights), 1))
        mean_side = sides.unflatten(1, (-1, len(weights))).mean(2)
        self._outward = torch.where(exists & (mean_side.abs() > LEAST_BOUNDING), mean_side.sign(), 0)
        """(B, F): 1 where the outside is on the side from which the corners run counter-clockwise, -1 where it is on
        the other, 0 for triangles that are no surface."""
        self._areas = cross.norm(dim=-1) * self._outward.abs()
        first = (self._outward == 0).to(torch.int8).argsort(dim=1, stable=True)
        self._surface = corners.gather(1, first[..., None, None].expand(-1, -1, 3, 3))
        self._surface_counts = (self._outward != 0).sum(1, dtype=torch.int32)

    def __getitem__(self, rows: torch.Tensor) -> SolidMeshes:
        solid = object.__new__(SolidMeshes)
        for name, value in vars(self).items():
            setattr(solid, name, value[rows])
        return solid

    @property
    def is_solid(self) -> torch.Tensor:
        """(B,) bool: whether the mesh encloses anything."""
        return self._surface_counts > 0

    def distance(self, points: torch.Tensor) -> torch.Tensor:
        """Signed distances (B, N), positive outside, of world points (B, N, 3)."""
        distances = nearest_distances(self._surface, self._surface_counts, points)
        return torch.where(self._is_inside(points), -distances, distances)

    def _is_inside(self, points: torch.Tensor) -> torch.Tensor:
        return winding_numbers(self.meshes.triangles, self.meshes.counts, points).abs() > INSIDE_WINDING

    def _sides(self, points: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
        """For points (B, N, 3) on triangles with unit normals (B, N, 3): 1 where only the side of the normal is
        outside, -1 where only the other one is, 0 where both sides are alike; (B, N) float32."""
        both = torch.cat([points + SIDE_OFFSET * normals, points - SIDE_OFFSET * normals], 1)
        front, back = self._is_inside(both).float().chunk(2, 1)
        return back - front

    def sample_surface(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (B, count, 3) spread evenly over the surface, and their colors (B, count, 3) in the scene's light.

        Every mesh must be solid.
        """
        face = torch.multinomial(self._areas.clamp_min(1e-12) * (self._outward != 0), count, replacement=True)
        u, v = torch.rand(2, *face.shape, 1, device=face.device)
        u, v = torch.where(u + v > 1, 1 - u, u), torch.where(u + v > 1, 1 - v, v)
        weights = torch.cat([1 - u - v, u, v], -1)
        points = _interpolate(self.meshes.triangles, face, weights)
        normals = self._normals.gather(1, face[..., None].expand(-1, -1, 3))
        # A large triangle may be partly hidden in another part: what is sampled there is taken from elsewhere.
        visible = self._sides(points, normals) != 0
        chosen = torch.multinomial(visible.float().clamp_min(1e-9), count, replacement=True)
        chosen = torch.where(visible, torch.arange(count, device=face.device), chosen)
        colors = self._colors(face, weights)
        return tuple(values.gather(1, chosen[..., None].expand(-1, -1, 3)) for values in (points, colors))

    def _colors(self, face: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Colors (B, N, 3) as ``training.mesh_rasterizer`` shades the outside of the triangles ``face`` (B, N)."""
        meshes, size = self.meshes, self.meshes.textures.shape[1]
        u, v = _interpolate(meshes.uvs, face, weights).unbind(-1)
        texel = ((1 - v) * size).long().clamp(0, size - 1) * size + (u * size).long().clamp(0, size - 1)
        albedo = meshes.textures.flatten(1, 2).gather(1, texel[..., None].expand(-1, -1, 3)).float() / 255
        albedo = torch.einsum("bij,bnj->bni", meshes.color_transforms[..., :3], albedo)
        albedo = (albedo + meshes.color_transforms[:, None, :, 3]).clamp_min(0)
        normals = torch.nn.functional.normalize(_interpolate(meshes.normals, face, weights), dim=-1)
        normals = normals * self._outward.gather(1, face)[..., None]
        lambert = (normals * meshes.lights[:, None, :3]).sum(-1).clamp_min(0)
        ambient = meshes.lights[:, None, 3]
        shade = ambient + (1 - ambient) * (0.75 * lambert + 0.25 * (0.5 + 0.5 * normals[..., 2]))
        return (albedo * shade[..., None]).clamp_max(1)

    def depths(self, cameras: torch.Tensor, size: int, half_side: float) -> torch.Tensor:
        """Depths at which rays enter the object and first leave it, as ``procedural.triton_depth.depths``: cameras
        (B, V, 4, 4) -> (B, V, size, size, 2) float16."""
        views = cameras.shape[1]
        triangles = self.meshes.triangles
        entry = render_depths(triangles, self.meshes.counts, cameras, size)
        # The nearest surface seen from inside is where a ray first leaves: the other triangles are moved out of sight.
        eyes, rights = cameras[:, :, None, :3, 3], cameras[:, :, None, :3, 0]
        toward = torch.einsum("bfd,bfd->bf", self._normals, triangles[:, :, 0])[:, None]
        toward = torch.einsum("bfd,bvkd->bvf", self._normals, eyes) - toward
        is_back = toward * self._outward[:, None] < 0
        moved = torch.where(is_back[..., None, None], triangles[:, None], (eyes + 1e4 * rights)[..., None, :])
        counts = self.meshes.counts.repeat_interleave(views)
        exits = render_depths(moved.flatten(0, 1), counts, cameras.flatten(0, 1)[:, None], size).view_as(entry)
        exits = torch.where(exits.isfinite(), exits, entry).maximum(entry + ENTRY_OFFSET)
        depths = (torch.stack([entry, exits], -1) - RADIUS) / half_side
        return torch.where(entry.isfinite()[..., None], depths, BEYOND).half()


def _interpolate(values: torch.Tensor, face: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Corner values (B, F, 3, C) at barycentric coordinates (B, N, 3) of triangles (B, N): (B, N, C)."""
    index = face[..., None, None].expand(-1, -1, 3, values.shape[-1])
    return (values.gather(1, index) * weights[..., None]).sum(2)
