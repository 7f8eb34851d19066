"""Triangle meshes as solids: exact signed distances, points on the outer surface, and depth maps.

Real models are made of overlapping parts. What separates inside from outside is decided by the winding number, so that
hidden inner faces are no surface. Of two joined objects each has a winding number and distances of its own, because one
may be mirrored, which cancels the other's winding, and because large triangles are often hidden in part only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from backend.camera import RADIUS
from procedural.shading import shade
from procedural.triton_depth import BEYOND, ENTRY_OFFSET
from training.mesh_distance import nearest_distances, winding_numbers
from training.mesh_rasterizer import MeshBatch, render_depths
from training.pattern_shading import pattern_colors

INSIDE_WINDING = 0.5
"""Least absolute winding number inside (a mirrored mesh winds the other way)."""
SIDE_OFFSET = 5e-4
"""How far from a triangle its two sides are examined, in world units."""
BARYCENTRIC = ((1 / 3, 1 / 3, 1 / 3), (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))
"""Where on each triangle they are."""
LEAST_BOUNDING = 0.2
"""A triangle is part of the surface if at more than this share of these positions one side is inside, one outside."""


class SolidMeshes:
    """B meshes whose insides are known, of one object each or two."""

    def __init__(self, meshes: MeshBatch):
        self.meshes = meshes
        corners = meshes.triangles
        cross = torch.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0], dim=-1)
        self._normals = torch.nn.functional.normalize(cross, dim=-1)
        slot = torch.arange(corners.shape[1], device=corners.device)
        exists = slot < meshes.counts[:, None]
        first_counts = meshes.counts - meshes.second_counts
        self._object_counts = torch.stack([first_counts, meshes.second_counts], 1)
        scene = torch.arange(len(corners), device=corners.device)[:, None, None]
        begin = torch.stack([torch.zeros_like(first_counts), first_counts], 1)
        own_slot = slot[: int(self._object_counts.max())]
        owned = scene, (begin[..., None] + own_slot).clamp_max(slot[-1])  # what follows an object is padding
        self._objects, self._object_normals = corners[owned], self._normals[owned]

        weights = corners.new_tensor(BARYCENTRIC)
        centers = torch.einsum("kc,bfcd->bfkd", weights, corners).flatten(1, 2)
        insides = self._insides_beside(centers, self._normals.repeat_interleave(len(weights), 1))
        insides = insides.unflatten(2, (2, -1, len(weights)))
        self._outward = torch.where(exists, _outward(insides.any(1)), 0)
        """(B, F): 1 where the outside is on the side from which the corners run counter-clockwise, -1 where it is on
        the other, 0 for triangles that are no surface."""
        self._areas = cross.norm(dim=-1) * self._outward.abs()
        first, second = insides.unbind(1)
        is_first = slot < first_counts[:, None]
        own = _outward(torch.where(is_first[:, None, :, None], first, second))
        self._object_outward = torch.where(own_slot < self._object_counts[..., None], own[owned], 0)
        """The same of each object alone, (B, 2, triangles of the largest)."""
        bounding = self._object_outward != 0
        order = (~bounding).to(torch.int8).argsort(dim=2, stable=True)
        self._surfaces = self._objects.gather(2, order[..., None, None].expand(-1, -1, -1, 3, 3))
        self._surface_counts = bounding.sum(2, dtype=torch.int32)

    def __getitem__(self, rows: torch.Tensor) -> SolidMeshes:
        solid = object.__new__(SolidMeshes)
        for name, value in vars(self).items():
            setattr(solid, name, value[rows])
        return solid

    @property
    def is_solid(self) -> torch.Tensor:
        """(B,) bool: whether each object of the mesh encloses anything."""
        return ((self._surface_counts > 0) | (self._object_counts == 0)).all(1)

    def distance(self, points: torch.Tensor) -> torch.Tensor:
        """Signed distances (B, N), positive outside, of world points (B, N, 3).

        Inside two joined objects, where the nearest triangle may be hidden in the other object, it is the depth in the
        object where it is greater, at most the true one.
        """
        distances = _of_objects(nearest_distances, self._surfaces, self._surface_counts, points)
        return torch.where(self._insides(points), -distances, distances).amin(1)

    def _insides(self, points: torch.Tensor) -> torch.Tensor:
        """Whether points (B, N, 3) are inside the first and inside the second object: (B, 2, N) bool."""
        return _of_objects(winding_numbers, self._objects, self._object_counts, points).abs() > INSIDE_WINDING

    def _insides_beside(self, points: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
        """The same (B, 2, 2 N) of what is close to points (B, N, 3) on triangles with unit normals (B, N, 3): first on
        the side of the normals, then on the other."""
        return self._insides(torch.cat([points + SIDE_OFFSET * normals, points - SIDE_OFFSET * normals], 1))

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
        front, back = self._insides_beside(points, normals).any(1).chunk(2, 1)
        visible = front != back
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
        is_second = face >= (meshes.counts - meshes.second_counts)[:, None]
        albedo = pattern_colors(meshes.patterns, is_second, _interpolate(meshes.own_triangles, face, weights), albedo)
        albedo = torch.einsum("bij,bnj->bni", meshes.color_transforms[..., :3], albedo)
        albedo = (albedo + meshes.color_transforms[:, None, :, 3]).clamp_min(0)
        normals = torch.nn.functional.normalize(_interpolate(meshes.normals, face, weights), dim=-1)
        normals = normals * self._outward.gather(1, face)[..., None]
        return (albedo * shade(normals, meshes.lights)[..., None]).clamp_max(1)

    def depths(self, cameras: torch.Tensor, size: int, half_side: float) -> torch.Tensor:
        """Depths at which rays enter the mesh and first leave it, as ``procedural.triton_depth.depths``: cameras
        (B, V, 4, 4) -> (B, V, size, size, 2) float16."""
        views = cameras.shape[1]
        cameras = cameras.repeat_interleave(2, 0)
        triangles, normals = self._objects.flatten(0, 1), self._object_normals.flatten(0, 1)
        outward, counts = self._object_outward.flatten(0, 1), self._object_counts.flatten()
        entry = render_depths(triangles, counts, cameras, size)
        # The nearest surface seen from inside is where a ray first leaves: the other triangles are moved out of sight.
        eyes, rights = cameras[:, :, None, :3, 3], cameras[:, :, None, :3, 0]
        toward = torch.einsum("bfd,bfd->bf", normals, triangles[:, :, 0])[:, None]
        toward = torch.einsum("bfd,bvkd->bvf", normals, eyes) - toward
        is_back = toward * outward[:, None] < 0
        moved = torch.where(is_back[..., None, None], triangles[:, None], (eyes + 1e4 * rights)[..., None, :])
        counts = counts.repeat_interleave(views)
        exits = render_depths(moved.flatten(0, 1), counts, cameras.flatten(0, 1)[:, None], size).view_as(entry)
        exits = torch.where(exits.isfinite(), exits, entry).maximum(entry + ENTRY_OFFSET)
        # A ray that leaves an object inside the other goes on to where it leaves that one.
        (entry, other_entry), (exits, other_exits) = (d.unflatten(0, (-1, 2)).unbind(1) for d in (entry, exits))
        together = torch.maximum(entry, other_entry) <= torch.minimum(exits, other_exits)
        nearer = torch.where(entry <= other_entry, exits, other_exits)
        exits = torch.where(together, torch.maximum(exits, other_exits), nearer)
        entry = torch.minimum(entry, other_entry)
        depths = (torch.stack([entry, exits], -1) - RADIUS) / half_side
        return torch.where(entry.isfinite()[..., None], depths, BEYOND).half()


def _outward(insides: torch.Tensor) -> torch.Tensor:
    """Whether the two sides of triangles, first the normals', are inside at each of K positions, (B, 2, F, K) bool ->
    (B, F): 1 where the outside is on the normals' side, -1 where it is on the other, 0 if they separate nothing."""
    front, back = insides.float().mean(-1).unbind(1)
    return torch.where((back - front).abs() > LEAST_BOUNDING, (back - front).sign(), 0)


def _of_objects(
    measure: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    triangles: torch.Tensor,
    counts: torch.Tensor,
    points: torch.Tensor,
) -> torch.Tensor:
    """What ``measure`` says of points (B, N, 3) and each of two objects (B, 2, F, 3, 3): (B, 2, N)."""
    points = points.repeat_interleave(2, 0)
    return measure(triangles.flatten(0, 1), counts.flatten(), points).unflatten(0, (-1, 2))


def _interpolate(values: torch.Tensor, face: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Corner values (B, F, 3, C) at barycentric coordinates (B, N, 3) of triangles (B, N): (B, N, C)."""
    index = face[..., None, None].expand(-1, -1, 3, values.shape[-1])
    return (values.gather(1, index) * weights[..., None]).sum(2)
