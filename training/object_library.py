"""Textured meshes of object packs in GPU memory, and random scenes made of them."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from objects.appearance import corner_normals, resize_texture
from objects.pack import ObjectPack, TexturedObject, is_test_object
from procedural.normalization import fit_to_frame
from procedural.sampling import sample_pose_and_light
from training.deformation import deform, sample_deformations
from training.joined_objects import Parts, join
from training.mesh_rasterizer import MeshBatch
from training.patterns import LENGTH, SURFACE_COLORS, flatness, sample_patterns, surface_colors

TEXTURE_SIZE = 128
CLEAN_DISTANCE = 0.95
"""Least ``sdf_clean`` in a manifest with which an object's inside is known everywhere."""


class ObjectLibrary:
    """Objects on one device, padded to the triangle count of the largest."""

    def __init__(self, objects: Sequence[TexturedObject], weights: np.ndarray, device: torch.device | str):
        """``weights`` (N,): how often each object is sampled, in any unit."""
        self.ids = np.array([textured.id for textured in objects])
        self.probabilities = weights / weights.sum()
        self.counts = np.array([len(textured.faces) for textured in objects], np.int32)
        shape = (len(objects), int(self.counts.max()), 3)
        self._triangles = torch.zeros(*shape, 3, dtype=torch.half)
        self._normals = torch.zeros(*shape, 3, dtype=torch.half)
        self._uvs = torch.zeros(*shape, 2, dtype=torch.half)
        self._textures = torch.zeros(len(objects), TEXTURE_SIZE, TEXTURE_SIZE, 3, dtype=torch.uint8)
        self._surface_colors = np.zeros((len(objects), SURFACE_COLORS, 3), np.float32)
        rng = np.random.default_rng(0)
        for number, textured in enumerate(objects):
            rows = slice(len(textured.faces))
            self._triangles[number, rows] = torch.from_numpy(textured.vertices[textured.faces]).half()
            self._normals[number, rows] = torch.from_numpy(corner_normals(textured.vertices, textured.faces)).half()
            self._uvs[number, rows] = torch.from_numpy(textured.uvs[textured.uv_faces]).half()
            texture = resize_texture(textured.texture, TEXTURE_SIZE)
            self._textures[number] = torch.tensor(texture)
            self._surface_colors[number] = surface_colors(textured, texture, rng)
        self._flatness = np.array([flatness(colors) for colors in self._surface_colors])
        self.device = torch.device(device)
        for name in ("_triangles", "_normals", "_uvs", "_textures"):
            setattr(self, name, getattr(self, name).to(device))

    @classmethod
    def from_packs(
        cls,
        paths: Sequence[str | Path],
        device: torch.device | str,
        test: bool = False,
        realistic_weight: float = 3.0,
        solid_only: bool = False,
    ) -> ObjectLibrary:
        """The training objects of some packs, or with ``test`` those set aside for the benchmark.

        A ``manifest.json.gz`` beside a pack says which objects are realistic; these are sampled ``realistic_weight``
        times as often as stylized ones. ``solid_only`` leaves out objects of which it does not say that their inside
        is known; raises ValueError where none remains.
        """
        objects, weights = [], []
        for path in sorted(map(Path, paths)):
            pack, manifest = ObjectPack(path), _read_manifest(path.parent / "manifest.json.gz")
            for index in np.flatnonzero(is_test_object(pack.ids) == test):
                row = manifest.get(int(pack.ids[index]), {})
                if solid_only and row.get("sdf_clean", 0.0) <= CLEAN_DISTANCE:
                    continue
                objects.append(pack[int(index)])
                weights.append(realistic_weight if row.get("style") == "real" else 1.0)
        if not objects:
            raise ValueError(f"no object in {', '.join(map(str, paths))} can be used: name other packs")
        return cls(objects, np.array(weights), device)

    def __len__(self) -> int:
        return len(self.ids)

    def sample(
        self, count: int, rng: np.random.Generator, joined_share: float = 0.0, pattern_share: float = 0.0
    ) -> tuple[MeshBatch, np.ndarray]:
        """Random objects, each turned, mirrored, stretched, bent, recolored and lit at random, a share of them with a
        second one, as seen by their input camera: the meshes, and the elevations (count,) of the input cameras in
        degrees. ``pattern_share`` of the objects of one color get a pattern; of others fewer, the more colors the
        fewer."""
        first = second = rng.choice(len(self), count, p=self.probabilities)
        parts = self._changed(first, rng)
        if joined_share:
            second = rng.choice(len(self), count, p=self.probabilities)
            others = self._changed(second, rng)
            parts = join(parts, others, torch.from_numpy(rng.random(count) < joined_share).to(self.device), rng)
        meshes, elevations = self._pose(parts, rng, sample_color_transforms(count, rng))
        if pattern_share:
            index = np.stack([first, second], 1).ravel()
            patterns = sample_patterns(self._surface_colors[index], pattern_share * self._flatness[index], rng)
            patterns = torch.from_numpy(patterns).to(self.device).unflatten(0, (count, 2))
            meshes = dataclasses.replace(meshes, patterns=patterns)
        return meshes, elevations

    def scenes(
        self, index: np.ndarray, rng: np.random.Generator, stretch: np.ndarray | None = None
    ) -> tuple[MeshBatch, np.ndarray]:
        """The objects ``index`` (B,) in random poses and light, otherwise unchanged but for ``stretch`` (B, 3), which
        scales their own axes (negative: mirrored); returns as ``sample`` does."""
        parts = self._parts(index, np.ones((len(index), 3)) if stretch is None else stretch)
        return self._pose(parts, rng, np.tile(np.eye(3, 4, dtype=np.float32), (len(index), 1, 1)))

    def _changed(self, index: np.ndarray, rng: np.random.Generator) -> Parts:
        """The objects ``index`` (B,) stretched along their own axes, mirrored and bent at random."""
        count = len(index)
        stretch = np.exp(0.25 * rng.uniform(-1, 1, (count, 3)) * (rng.random((count, 1)) < 0.7))
        stretch[rng.random(count) < 0.5, 0] *= -1
        parts = self._parts(index, stretch)
        deformations = torch.from_numpy(sample_deformations(count, rng)).to(self.device)
        triangles, normals = deform(parts.triangles, parts.normals, deformations)
        return dataclasses.replace(parts, triangles=triangles, normals=normals)

    def _parts(self, index: np.ndarray, stretch: np.ndarray) -> Parts:
        most = int(self.counts[index].max())
        rows = torch.from_numpy(index).to(self.device)
        counts = torch.from_numpy(self.counts[index]).to(self.device)
        factors = torch.from_numpy(stretch.astype(np.float32)).to(self.device)[:, None, None]
        own_triangles = self._triangles[rows, :most].float()
        return Parts(
            own_triangles * factors,
            self._normals[rows, :most].float() / factors,
            self._uvs[rows, :most].float(),
            counts,
            torch.zeros_like(counts),
            self._textures[rows],
            own_triangles,
        )

    def _pose(
        self, parts: Parts, rng: np.random.Generator, color_transforms: np.ndarray
    ) -> tuple[MeshBatch, np.ndarray]:
        """Objects in random poses and light, framed by their input cameras; ``color_transforms`` (B, 3, 4)."""
        poses = [sample_pose_and_light(rng) for _ in parts.counts]
        yaw, elevation = (np.array([pose[k] for pose in poses], np.float32) for k in (0, 1))
        angle = torch.from_numpy(yaw).to(self.device)
        triangles, normals = _rotate_z(parts.triangles, angle), _rotate_z(parts.normals, angle)
        corners, valid = dataclasses.replace(parts, triangles=triangles).corners()
        center, scale = fit_to_frame(corners, valid, torch.from_numpy(elevation).to(self.device))
        triangles = ((corners - center[:, None]) * scale[:, None, None]).view_as(triangles)
        winding = torch.cross(triangles[:, :, 1] - triangles[:, :, 0], triangles[:, :, 2] - triangles[:, :, 0], dim=-1)
        flipped = (normals * winding[:, :, None]).sum(-1, keepdim=True) < 0
        meshes = MeshBatch(
            triangles,
            torch.where(flipped, -normals, normals),
            parts.uvs,
            parts.counts,
            parts.second_counts,
            parts.textures,
            torch.from_numpy(np.stack([pose[2] for pose in poses])).to(self.device),
            torch.from_numpy(color_transforms.astype(np.float32)).to(self.device),
            parts.own_triangles,
            triangles.new_zeros(len(triangles), 2, LENGTH),
        )
        return meshes, elevation


def sample_color_transforms(count: int, rng: np.random.Generator) -> np.ndarray:
    """Random matrices and offsets (count, 3, 4) for colors in 0..1: channels exchanged in a third of them, gains up to
    e^.35 in most, small offsets in half."""
    transforms = np.zeros((count, 3, 4), np.float32)
    for transform in transforms:
        transform[:, :3] = np.eye(3)[rng.permutation(3) if rng.random() < 0.35 else slice(None)]
        if rng.random() < 0.6:
            transform[:, :3] *= np.exp(0.35 * rng.uniform(-1, 1, (3, 1)))
        if rng.random() < 0.5:
            transform[:, 3] = rng.uniform(-0.04, 0.04, 3)
    return transforms


def _rotate_z(vectors: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Vectors (B, ..., 3) turned around z by angles (B,) in radians."""
    cos, sin = (value.view(-1, *[1] * (vectors.dim() - 2)) for value in (torch.cos(angle), torch.sin(angle)))
    x, y, z = vectors.unbind(-1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], -1)


def _read_manifest(path: Path) -> dict[int, dict[str, Any]]:
    """A manifest's rows by the objects' ids; empty where there is no manifest."""
    if not path.exists():
        return {}
    return {row["id"]: row for row in json.loads(gzip.decompress(path.read_bytes()))["objects"]}
